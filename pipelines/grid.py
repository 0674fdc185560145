"""Which training runs a comparison consists of: every combination of the varied settings, with every seed."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import product
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from abaw.core.errors import ConfigError, nearest
from pipelines.train_temporal import TemporalRecipe, recipe_of

Config = TypeVar("Config")

_REFUSALS_SHOWN = 5
_UNSET = "null"


@dataclass(frozen=True, kw_only=True)
class GridRecipe(TemporalRecipe):
    """A recipe with its windows: what can be varied.

    Args:
        window: frames a window
        hop: frames from one window to the next in prediction; not given, it is `hop_fraction` of the window
        hop_fraction: hop as a share of the window, rounded to frames
    """

    window: int = 300
    hop: int | None = None
    hop_fraction: float = 2 / 3


@dataclass(frozen=True)
class Point:
    """One combination of settings. name: `window=50,model.layers=2`; values: by the name of the setting."""

    name: str
    values: Mapping[str, Any]
    window: int
    hop: int
    recipe: TemporalRecipe


def points(config: GridRecipe, vary: Mapping[str, Sequence[str]]) -> list[Point]:
    """Every combination of the values, in the order given.

    vary: texts of the values by the dotted name of a setting. Raises ConfigError for an unknown setting, a value that
    is none of its type or given twice, and, naming them all, for combinations that do not fit together.
    """
    kinds = _kinds(type(config))
    values = {name: _values(name, texts, kinds) for name, texts in vary.items()}
    if {"hop", "hop_fraction"} <= values.keys():
        raise ConfigError("vary either hop (in frames) or hop_fraction (a share of the window), not both")
    if "hop_fraction" in values and config.hop is not None:
        raise ConfigError(f"hop {config.hop} is given in frames, so that hop_fraction says nothing; use --hop {_UNSET}")
    found: list[Point] = []
    refused: list[str] = []
    for combination in product(*values.values()):
        chosen = dict(zip(values, combination, strict=True))
        name = _name(chosen)
        try:
            found.append(_point(config, name, chosen))
        except ConfigError as error:
            refused.append(f"{name}: {error}")
    if refused:
        more = f"; and {len(refused) - _REFUSALS_SHOWN} more" if len(refused) > _REFUSALS_SHOWN else ""
        of = len(refused) + len(found)
        raise ConfigError(f"{len(refused)} of {of} cells do not fit: {'; '.join(refused[:_REFUSALS_SHOWN])}{more}")
    return found


def _name(values: Mapping[str, Any]) -> str:
    """The same for the same settings, in whatever order they are given."""
    return ",".join(f"{name}={_text(values[name])}" for name in sorted(values, key=lambda name: ("." in name, name)))


def _point(config: GridRecipe, name: str, values: Mapping[str, Any]) -> Point:
    from abaw.sequence.windows import Windows

    chosen = replaced(config, values)
    if not 0 < chosen.hop_fraction <= 1:
        raise ConfigError(
            f"hop_fraction {chosen.hop_fraction:g}: expected more than 0 and at most 1; with hop > window the frames "
            "between windows get no prediction"
        )
    if not 0 <= chosen.holdout < 1:
        raise ConfigError(f"holdout {chosen.holdout:g}: expected at least 0 and less than 1")
    hop = max(1, round(chosen.window * chosen.hop_fraction)) if chosen.hop is None else chosen.hop
    windows = Windows(chosen.window, hop)
    return Point(name, values, windows.length, windows.hop, recipe_of(chosen))


def replaced(config: Config, values: Mapping[str, Any]) -> Config:
    """The config with other values, by dotted name; those of one part are set together."""
    own = {name: value for name, value in values.items() if "." not in name}
    for part in dict.fromkeys(name.partition(".")[0] for name in values if "." in name):
        inner = {name.partition(".")[2]: value for name, value in values.items() if name.startswith(f"{part}.")}
        own[part] = replaced(getattr(config, part), inner)
    return replace(config, **own)  # type: ignore[type-var]


def _kinds(config_class: type[Any]) -> dict[str, Any]:
    """Types of the settings that can be varied, by dotted name."""
    return {
        name: kind
        for name, kind in _settings(config_class, "")
        # Tasks change what is read, seeds have a flag, and the rest is no property of a model.
        if name not in {"tasks", "train.seed", "train.devices", "train.accelerator"}
    }


def _settings(config_class: type[Any], prefix: str) -> Iterator[tuple[str, Any]]:
    kinds = get_type_hints(config_class)
    known = get_type_hints(GridRecipe) if not prefix else kinds
    for field in fields(config_class):
        kind = kinds[field.name]
        if is_dataclass(kind):
            assert isinstance(kind, type)
            yield from _settings(kind, f"{prefix}{field.name}.")
        elif field.name in known:
            yield f"{prefix}{field.name}", kind


def _values(name: str, texts: Sequence[str], kinds: Mapping[str, Any]) -> list[Any]:
    if name == "train.seed":
        raise ConfigError("train.seed is varied by --seeds")
    if name not in kinds:
        last = {known.rpartition(".")[2]: known for known in kinds}
        near = last.get(name.rpartition(".")[2])
        hint = f" Did you mean '{near}'?" if near else nearest(name, kinds)
        raise ConfigError(f"no setting '{name}' that can be varied.{hint}")
    values = [_value(name, text.strip(), kinds[name]) for text in texts]
    if not values or len(set(values)) < len(values):
        raise ConfigError(f"vary {name}={','.join(texts)}: expected one or more different values")
    return values


def _value(name: str, text: str, kind: Any) -> Any:
    """The text as a value of the setting's type. Raises ConfigError when it is none."""
    if get_origin(kind) in (Union, types.UnionType):
        options = [option for option in get_args(kind) if option is not type(None)]
        return None if text == _UNSET else _value(name, text, options[0])
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        if text not in choices:
            raise ConfigError(f"{name}={text}: expected one of {', '.join(choices)}.{nearest(text, choices)}")
        return text
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ConfigError(f"{name}={text}: expected true or false")
        return text.lower() == "true"
    expected = {int: "a whole number", float: "a number", str: "a text"}[kind]
    try:
        return kind(text)
    except ValueError as error:
        raise ConfigError(f"{name}={text}: expected {expected}") from error


def _text(value: Any) -> str:
    """A value in a name: as it is written in a setting."""
    if value is None:
        return _UNSET
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
