"""The values of a row, by the task of the edition, from decoded predictions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.inference.decode import Decoded
from abaw.protocol.classes import NUM_ACTION_UNITS
from abaw.protocol.editions import Edition
from abaw.submission.compound import compound_labels

DECIMALS = 4
"""Decimals of valence and arousal."""
ACTION_UNIT_THRESHOLD = 0.5
"""An action unit is on from this probability."""


def frame_values(name: str, decoded: Decoded, edition: Edition) -> list[str]:
    """The text after `<video>/00001.jpg,` for each frame of one video.

    This is a class; a compound class from the probabilities of the eight basic ones; or
    `valence,arousal,class,au1,…,au12`. Raises DataError when a label is not a class of the edition, or the predictions
    lack a task that a multi-task edition needs.
    """
    if edition.task == "mtl":
        return _multitask(name, decoded, edition)
    labels = compound_labels(decoded.probs) if edition.task == "compound" else decoded.labels
    return _digits(name, labels, edition)


def _digits(name: str, labels: NDArray[np.int8], edition: Edition) -> list[str]:
    if len(labels) and not 0 <= labels.min() <= labels.max() < edition.num_classes:
        raise DataError(f"{name}: labels must be in 0..{edition.num_classes - 1}, found {labels.min()}..{labels.max()}")
    digits = [str(label) for label in range(edition.num_classes)]
    return [digits[label] for label in labels.tolist()]


def _multitask(name: str, decoded: Decoded, edition: Edition) -> list[str]:
    if decoded.valence_arousal is None or decoded.action_units is None:
        lacking = "valence and arousal" if decoded.valence_arousal is None else "action units"
        raise DataError(
            f"{name}: the predictions have no {lacking}, which {edition.name} needs; train with "
            "`--tasks expression valence_arousal action_units` and predict again"
        )
    if not (np.isfinite(decoded.valence_arousal).all() and np.isfinite(decoded.action_units).all()):
        raise DataError(f"{name}: valence, arousal or action units are not finite; predict the video again")
    # Adding 0 turns -0 into 0.
    rounded = np.round(np.clip(decoded.valence_arousal, -1, 1).astype(np.float64), DECIMALS) + 0.0
    on = decoded.action_units >= ACTION_UNIT_THRESHOLD
    codes = on @ (1 << np.arange(NUM_ACTION_UNITS))
    texts = {code: _action_units(code) for code in np.unique(codes).tolist()}
    labels = _digits(name, decoded.labels, edition)
    return [
        f"{valence:.{DECIMALS}f},{arousal:.{DECIMALS}f},{label},{texts[code]}"
        for (valence, arousal), label, code in zip(rounded.tolist(), labels, codes.tolist(), strict=True)
    ]


def _action_units(code: int) -> str:
    """Bit k of the code is action unit k."""
    return ",".join(str(code >> unit & 1) for unit in range(NUM_ACTION_UNITS))
