"""The entries of the benchmark: variants of a recipe by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from abaw.core.errors import ConfigError
from abaw.semisup.registry import method_names
from abaw.training.static_recipe import StaticRecipe, StaticSettings
from pipelines.compare.overrides import hint, replaced, setting_kinds, typed_value

_NAME = re.compile(r"[\w.+-]+")
_START: Mapping[str, Any] = {"init": Path | None, "warm_start_steps": int}


@dataclass(frozen=True)
class Entry:
    """A variant that is compared. init: a static checkpoint to start from; warm_start_steps: of `supervised`, first."""

    name: str
    recipe: StaticSettings
    init: Path | None
    warm_start_steps: int


def resolved(init: Path | None) -> Path | None:
    """The folder of a checkpoint to start from; `builtin` is the one of the package."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.weights import resolve_checkpoint

    return None if init is None else resolve_checkpoint(init, "static")


def entries(
    recipe: StaticSettings, init: Path | None, warm_start_steps: int, changes: Mapping[str, Sequence[str]]
) -> list[Entry]:
    """The variants by name, each with its changes of the recipe: `{no_debias: [method=spatial, spatial.debias=0]}`.

    A variant without `method` is the method of its name; without any, there is one of every method. Raises ConfigError
    for an unknown setting, a value that is none of its type, and settings that do not fit together.
    """
    variants = changes or dict.fromkeys(method_names(), ())
    return [_entry(Entry(name, recipe, init, warm_start_steps), texts) for name, texts in variants.items()]


def _entry(base: Entry, texts: Sequence[str]) -> Entry:
    if not _NAME.fullmatch(base.name):
        raise ConfigError(f"entry '{base.name}': a name has letters, digits and . _ + - alone; folders are named so")
    others = {"train.seed", "train.devices", "train.accelerator"}
    kinds = {**{name: kind for name, kind in setting_kinds(StaticRecipe) if name not in others}, **_START}
    values: dict[str, Any] = {"method": base.name}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in kinds:
            raise ConfigError(f"entry {base.name}: no setting '{name}' that can be changed.{hint(name, kinds)}")
        try:
            values[name] = typed_value(name, value, kinds[name])
        except ConfigError as error:
            raise ConfigError(f"entry {base.name}: {error}") from error
    start = {name: values.pop(name) for name in _START if name in values}
    try:
        entry = replace(base, recipe=replaced(base.recipe, values), **start)
    except ConfigError as error:
        raise ConfigError(f"entry {base.name}: {error}") from error
    entry = replace(entry, init=resolved(entry.init))
    if entry.warm_start_steps < 0:
        raise ConfigError(f"entry {base.name}: warm_start_steps {entry.warm_start_steps}; expected at least 0")
    return entry
