"""Which training runs a comparison consists of: every combination of the varied settings, with every seed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from abaw.core.config import AT_MOST, Limit
from abaw.core.errors import ConfigError
from abaw.core.text import listed
from abaw.training.temporal_recipe import TemporalRecipe, recipe_of
from pipelines.compare.overrides import UNSET, hint, replaced, setting_kinds, typed_value, value_text


@dataclass(frozen=True, kw_only=True)
class GridRecipe(TemporalRecipe):
    """A recipe with its windows: what can be varied.

    Args:
        window: frames per window
        hop: frames from one window to the next in prediction; by default `hop_fraction` of the window
        hop_fraction: hop as a share of the window, rounded to frames
    """

    window: int = 300
    hop: int | None = field(default=None, metadata={AT_MOST: Limit("window")})
    hop_fraction: float = 2 / 3


@dataclass(frozen=True)
class Point:
    """One combination of settings. name: `window=50,model.layers=2`; values: by the name of the setting.

    notes: a line for each setting of the recipe that was adapted to these values.
    """

    name: str
    values: Mapping[str, Any]
    window: int
    hop: int
    recipe: TemporalRecipe
    notes: tuple[str, ...]


def points(config: GridRecipe, vary: Mapping[str, Sequence[str]], given: Collection[str] = ()) -> list[Point]:
    """Every combination of the values, in the order given.

    vary: texts of the values by the dotted name of a setting; given: settings given on the command line, which are not
    adapted to the values. Raises ConfigError for an unknown setting, a value that
    is none of its type or given twice, and, naming them all, for combinations that do not fit together.
    """
    kinds = _kinds()
    values = {name: _values(name, texts, kinds) for name, texts in vary.items()}
    if {"hop", "hop_fraction"} <= values.keys():
        raise ConfigError("vary either hop (in frames) or hop_fraction (a share of the window), not both")
    if "hop_fraction" in values and config.hop is not None:
        raise ConfigError(f"hop {config.hop} is given in frames, so that hop_fraction says nothing; use --hop {UNSET}")
    found: list[Point] = []
    refused: list[str] = []
    for combination in product(*values.values()):
        chosen = dict(zip(values, combination, strict=True))
        name = _name(chosen)
        try:
            found.append(_point(config, name, chosen, given))
        except ConfigError as error:
            refused.append(f"{name}: {error}")
    if refused:
        of = len(refused) + len(found)
        raise ConfigError(f"{len(refused)} of {of} cells do not fit: {listed(refused, separator='; ')}")
    return found


def _name(values: Mapping[str, Any]) -> str:
    """The same for the same settings, in whatever order they are given."""
    return ",".join(
        f"{name}={value_text(values[name])}" for name in sorted(values, key=lambda name: ("." in name, name))
    )


def _point(config: GridRecipe, name: str, values: Mapping[str, Any], given: Collection[str]) -> Point:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.sequence.windows import Windows

    chosen, notes = replaced(config, values, given)
    if not 0 < chosen.hop_fraction <= 1:
        raise ConfigError(
            f"hop_fraction {chosen.hop_fraction:g}: expected more than 0 and at most 1; with hop > window the frames "
            "between windows get no prediction"
        )
    if not 0 <= chosen.holdout < 1:
        raise ConfigError(f"holdout {chosen.holdout:g}: expected at least 0 and less than 1")
    hop = max(1, round(chosen.window * chosen.hop_fraction)) if chosen.hop is None else chosen.hop
    windows = Windows(chosen.window, hop)
    return Point(name, values, windows.length, windows.hop, recipe_of(chosen), tuple(notes))


def _kinds() -> dict[str, Any]:
    """Types of the settings that can be varied, by dotted name."""
    # Tasks change what is read, seeds have a flag, and the rest is no property of a model.
    others = {"tasks", "train.seed", "train.devices", "train.nodes", "train.accelerator"}
    return {name: kind for name, kind in setting_kinds(GridRecipe) if name not in others}


def _values(name: str, texts: Sequence[str], kinds: Mapping[str, Any]) -> list[Any]:
    if name == "train.seed":
        raise ConfigError("train.seed is varied by --seeds")
    if name not in kinds:
        raise ConfigError(f"no setting '{name}' that can be varied.{hint(name, kinds)}")
    values = [typed_value(name, text.strip(), kinds[name]) for text in texts]
    if not values or len(set(values)) < len(values):
        raise ConfigError(f"vary {name}={','.join(texts)}: expected one or more different values")
    return values
