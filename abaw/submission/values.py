"""The values of a row, by the task of the edition, from decoded predictions."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.inference.decode import Decoded
from abaw.protocol.classes import NUM_ACTION_UNITS, TASKS
from abaw.protocol.editions import Edition
from abaw.submission.compound import compound_labels

OtherTask = Literal["valence_arousal", "action_units"]

DECIMALS = 4
"""Decimals of valence and arousal."""
ACTION_UNIT_THRESHOLD = 0.5
"""An action unit is on from this probability, unless thresholds are given."""


def frame_values(
    name: str, decoded: Decoded, edition: Edition, thresholds: NDArray[np.float64] | None = None
) -> list[str]:
    """The text after `<video>/00001.jpg,` for each frame of one video.

    This is a class; a compound class from the probabilities of the eight basic ones; `valence,arousal`; `au1,…,au12`;
    or `valence,arousal,class,au1,…,au12`. thresholds: (12,), from which probability each action unit is on; .5 without.
    Raises DataError when a label is not a class of the edition, or the
    predictions lack a task that the edition needs.
    """
    if edition.task == "valence_arousal":
        return _valence_arousal(_require(name, decoded, "valence_arousal", edition))
    if edition.task == "action_units":
        return _action_units(_require(name, decoded, "action_units", edition), thresholds)
    if not decoded.probs.shape[1]:
        raise DataError(_lacking(name, "expression", "expression", edition))
    if edition.task == "mtl":
        pairs = _valence_arousal(_require(name, decoded, "valence_arousal", edition))
        units = _action_units(_require(name, decoded, "action_units", edition), thresholds)
        digits = _digits(name, decoded.labels, edition)
        return [",".join(parts) for parts in zip(pairs, digits, units, strict=True)]
    labels = compound_labels(decoded.probs) if edition.task == "compound" else decoded.labels
    return _digits(name, labels, edition)


def _lacking(name: str, words: str, task: str, edition: Edition) -> str:
    needed = " ".join(TASKS) if edition.task == "mtl" else task
    return (
        f"{name}: the predictions have no {words}, which {edition.name} needs; train with `--tasks {needed}` and "
        "predict again"
    )


def _digits(name: str, labels: NDArray[np.int8], edition: Edition) -> list[str]:
    if len(labels) and not 0 <= labels.min() <= labels.max() < edition.num_classes:
        raise DataError(f"{name}: labels must be in 0..{edition.num_classes - 1}, found {labels.min()}..{labels.max()}")
    digits = [str(label) for label in range(edition.num_classes)]
    return [digits[label] for label in labels.tolist()]


def _require(name: str, decoded: Decoded, task: OtherTask, edition: Edition) -> NDArray[np.float32]:
    """The predictions of one task, (T, columns). Raises DataError when there are none or they are not finite."""
    values: NDArray[np.float32] | None = getattr(decoded, task)
    words = "valence and arousal" if task == "valence_arousal" else "action units"
    if values is None:
        raise DataError(_lacking(name, words, task, edition))
    if not np.isfinite(values).all():
        raise DataError(f"{name}: {words} are not finite; predict the video again")
    return values


def _valence_arousal(values: NDArray[np.float32]) -> list[str]:
    # Adding 0 turns -0 into 0.
    rounded = np.round(np.clip(values, -1, 1).astype(np.float64), DECIMALS) + 0.0
    return [f"{valence:.{DECIMALS}f},{arousal:.{DECIMALS}f}" for valence, arousal in rounded.tolist()]


def _action_units(probs: NDArray[np.float32], thresholds: NDArray[np.float64] | None) -> list[str]:
    codes = (probs >= (ACTION_UNIT_THRESHOLD if thresholds is None else thresholds)) @ (
        1 << np.arange(NUM_ACTION_UNITS)
    )
    texts = {code: _bits(code) for code in np.unique(codes).tolist()}
    return [texts[code] for code in codes.tolist()]


def _bits(code: int) -> str:
    """Bit k of the code is action unit k."""
    return ",".join(str(code >> unit & 1) for unit in range(NUM_ACTION_UNITS))
