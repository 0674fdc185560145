"""A smoothing as a file: with its class bias and its transitions, so that it can be applied elsewhere unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from abaw.core.artifacts import provenance, read_json, write_json
from abaw.core.errors import AbawError, DataError
from abaw.core.typed import from_plain
from abaw.sequence.hmm import Transitions
from abaw.sequence.smooth import Smoothing, parse_smoothing

SUFFIX = ".json"

_CHOSEN_ON, _COUNTED_ON = "chosen_on_videos", "counted_on_videos"
"""Facts: the names of these videos, null when they are unknown; earlier versions did not write them."""


@dataclass(frozen=True, slots=True)
class _Transitions:
    initial: tuple[float, ...]
    matrix: tuple[tuple[float, ...], ...]
    fps: float | None = None


@dataclass(frozen=True, slots=True)
class _File:
    """What the file holds. facts: where it comes from."""

    smoothing: str
    classes: tuple[str, ...]
    class_bias: tuple[float, ...] | None = None
    transitions: _Transitions | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def write_smoothing(path: Path, smoothing: Smoothing, classes: tuple[str, ...], **facts: Any) -> None:
    """classes: C names, in the order of bias and transitions; facts: where the smoothing comes from."""
    facts |= {_CHOSEN_ON: smoothing.chosen_on, _COUNTED_ON: smoothing.counted_on}
    write_json(path, smoothing_plain(smoothing, classes, **provenance(**facts)))


def smoothing_plain(smoothing: Smoothing, classes: tuple[str, ...], **facts: Any) -> dict[str, Any]:
    """Everything that a smoothing depends on, as JSON values. Arguments as for `write_smoothing`."""
    chain = smoothing.transitions
    transitions = None
    if chain is not None:
        transitions = _Transitions(tuple(chain.initial.tolist()), tuple(map(tuple, chain.matrix.tolist())), chain.fps)
    return asdict(_File(str(smoothing), classes, smoothing.class_bias, transitions, facts))


def read_smoothing(path: Path, classes: tuple[str, ...]) -> Smoothing:
    """Raises DataError, naming the file, when it is missing or is not a smoothing of these classes."""
    plain = read_json(path)
    try:
        found = from_plain(_File, plain)
        chain = found.transitions
        transitions = None
        if chain is not None:
            if {len(row) for row in chain.matrix} != {len(chain.initial)}:
                raise ValueError("key 'transitions.matrix': its rows differ in length")
            transitions = Transitions(np.array(chain.initial), np.array(chain.matrix), chain.fps)
        smoothing = parse_smoothing(found.smoothing, transitions)
        if found.class_bias is not None:
            smoothing = smoothing.biased(found.class_bias)
        smoothing = replace(smoothing, chosen_on=_chosen_on(found), counted_on=_counted_on(found))
    except (ValueError, AbawError) as error:
        raise DataError(f"{path}: not a smoothing ({error}); `abaw validate` writes one") from error
    sizes = {len(found.class_bias or classes), transitions.num_classes if transitions else len(classes)}
    if found.classes != classes or sizes != {len(classes)}:
        raise DataError(f"{path}: for the classes {', '.join(found.classes)}; expected {', '.join(classes)}")
    return smoothing


def _chosen_on(found: _File) -> tuple[str, ...] | None:
    """Earlier versions wrote only the folder of the annotations, as `chosen_on`."""
    return _names(found.facts.get(_CHOSEN_ON, None if found.facts.get("chosen_on") else ()))


def _counted_on(found: _File) -> tuple[str, ...] | None:
    return _names(found.facts.get(_COUNTED_ON, None if found.transitions else ()))


def _names(value: Any) -> tuple[str, ...] | None:
    known = isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)
    return tuple(value) if known else None
