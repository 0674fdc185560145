"""Thresholds of the action units for a submission: numbers, or the file that a validation wrote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from abaw.core.artifacts import read_json
from abaw.core.errors import ConfigError, DataError
from abaw.protocol.classes import ACTION_UNITS, NUM_ACTION_UNITS
from abaw.protocol.editions import Edition


def read_thresholds(words: Sequence[str], edition: Edition) -> NDArray[np.float64] | None:
    """The thresholds, (12,), from twelve numbers or the path of a JSON file {"AU1": number, …}; None without words.

    Raises ConfigError for other numbers than twelve from 0 to 1 and for an edition without action units, and DataError
    for a file that cannot be read or does not have exactly one threshold per unit.
    """
    if not words:
        return None
    if edition.task not in ("action_units", "mtl"):
        raise ConfigError(f"--thresholds: {edition.name} has no action units; leave it out")
    if len(words) == 1:
        return _read_file(Path(words[0]))
    values = [_number(word) for word in words]
    if len(values) != NUM_ACTION_UNITS or None in values:
        raise ConfigError(
            f"--thresholds: expected {NUM_ACTION_UNITS} numbers from 0 to 1 ({', '.join(ACTION_UNITS)}) or one file, "
            f"found {' '.join(words)}"
        )
    return np.array(values, dtype=np.float64)


def _read_file(path: Path) -> NDArray[np.float64]:
    content = read_json(path)
    if not isinstance(content, dict) or content.keys() != set(ACTION_UNITS):
        raise DataError(f"{path}: expected one threshold for each of {', '.join(ACTION_UNITS)} and nothing else")
    for name, value in content.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise DataError(f"{path}: {name}: expected a number from 0 to 1, found {str(value)[:60]}")
    return np.array([content[name] for name in ACTION_UNITS], dtype=np.float64)


def _number(word: str) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None
