"""The smoothings that a command names: as texts, or as files that `abaw validate` wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from abaw.core.errors import ConfigError

if TYPE_CHECKING:
    from abaw.sequence.hmm import Transitions
    from abaw.sequence.smooth import Smoothing


def read_smoothings(
    texts: Sequence[str], transitions: Path | None, transitions_fps: float | None, predictions: Sequence[Path]
) -> tuple[list[Smoothing], set[str]]:
    """The smoothings, and the videos on which their transitions were counted, as far as this is known.

    texts: text forms, or paths of .json files; transitions: annotations whose Train_Set gives the transitions of the
    passes among the texts; transitions_fps: its frame rate, by default the median of the predictions'. Raises
    ConfigError for transitions that no text needs and for a smoothing that is given twice.
    """
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.protocol.classes import EXPRESSION_CLASSES
    from abaw.sequence.smooth import needs_transitions, parse_smoothing
    from abaw.sequence.smoothing_file import read_smoothing

    if transitions is not None and not any(map(needs_transitions, texts)):
        raise ConfigError(
            "--transitions is for viterbi and forward_backward, and --smoothing names neither; leave it out"
        )
    if transitions_fps is not None and transitions is None:
        raise ConfigError("--transitions_fps is the frame rate of --transitions, which is not given; leave it out")
    chain, counted_on = None, tuple[str, ...]()
    if transitions is not None:
        chain, counted_on = _count(transitions, transitions_fps or median_fps(predictions))

    def named(text: str) -> Smoothing:
        if is_file(text):
            return read_smoothing(Path(text), EXPRESSION_CLASSES)
        return replace(parse_smoothing(text, chain), counted_on=counted_on if needs_transitions(text) else ())

    found = [named(text) for text in texts]
    twice = next((each for index, each in enumerate(found) if each in found[:index]), None)
    if twice is not None:
        raise ConfigError(f"smoothing '{twice}' is given twice")
    return found, {name for smoothing in found for name in smoothing.counted_on or ()}


def is_file(text: str) -> bool:
    """Whether a smoothing is named by the path of its file."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.sequence.smoothing_file import SUFFIX

    return text.endswith(SUFFIX)


def _count(folder: Path, fps: float | None) -> tuple[Transitions, tuple[str, ...]]:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.protocol.annotations import TRAIN_SET
    from abaw.protocol.classes import NUM_EXPRESSIONS
    from abaw.protocol.labels import read_labels
    from abaw.sequence.hmm import count_transitions

    annotated = read_labels(folder, TRAIN_SET, ("expression",))
    labels = (video.expression for video in annotated.values())
    return count_transitions(labels, NUM_EXPRESSIONS, fps=fps), tuple(annotated)


def median_fps(predictions: Sequence[Path]) -> float | None:
    """The median frame rate of the videos in folders of predictions; None when none is recorded."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from statistics import median_low

    from abaw.stores.arrow import StoreError, find_stores
    from abaw.stores.predictions import recorded_fps

    rates = []
    for path in find_stores(predictions):
        try:
            rates.append(recorded_fps(path))
        except StoreError:
            continue  # reported when the video is decoded
    known = [rate for rate in rates if rate is not None]
    return median_low(known) if known else None
