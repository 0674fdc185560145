"""The variants of a recipe that the benchmark compares, by name."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from abaw.core.errors import ConfigError
from abaw.data.settings import Pool, UnlabelledFrom
from abaw.training.static_recipe import StaticSettings, static_recipe_class
from pipelines.compare.overrides import hint, replaced, setting_kinds, typed_value

_NAME = re.compile(r"[\w.+-]+")
_START: Mapping[str, Any] = {"init": Path | None, "warm_start_steps": int}
_POOL: Mapping[str, Any] = {"unlabelled_from": UnlabelledFrom, "unlabelled_limit": int | None}


@dataclass(frozen=True)
class Variant:
    """A named variant of a recipe. init: a checkpoint to start from; warm_start_steps: first steps of `supervised`.

    pool: which faces it uses without labels; notes: a line for each setting of the recipe that was adapted to the
    variant.
    """

    name: str
    recipe: StaticSettings
    init: Path | None
    warm_start_steps: int
    pool: Pool = Pool()
    notes: tuple[str, ...] = ()


def resolved(init: Path | None) -> Path | None:
    """The folder of a checkpoint to start from; `builtin` is the one of the package."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.weights import resolve_checkpoint

    return None if init is None else resolve_checkpoint(init, "static")


def variants_of(base: Variant, overrides: Mapping[str, Sequence[str]], given: Collection[str] = ()) -> list[Variant]:
    """The variants by name, each with its overrides of `base`: `{no_debias: [method=spatial, spatial.debias=0]}`.

    A variant without `method` is the method of its name. Raises ConfigError for an unknown setting, a value of a wrong
    type, and settings that do not fit together.
    """
    return [_variant(replace(base, name=name), texts, given) for name, texts in overrides.items()]


def _variant(base: Variant, texts: Sequence[str], given: Collection[str]) -> Variant:
    if not _NAME.fullmatch(base.name):
        raise ConfigError(f"entry '{base.name}': a name consists of letters, digits and . _ + - (it names a folder)")
    others = {"train.seed", "train.devices", "train.nodes", "train.accelerator"}
    kinds = {
        **{name: kind for name, kind in setting_kinds(static_recipe_class()) if name not in others},
        **_START,
        **_POOL,
    }
    values: dict[str, Any] = {"method": base.name}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in kinds:
            raise ConfigError(f"entry {base.name}: no setting '{name}' that can be overridden.{hint(name, kinds)}")
        try:
            values[name] = typed_value(name, value, kinds[name])
        except ConfigError as error:
            raise ConfigError(f"entry {base.name}: {error}") from error
    start = {name: values.pop(name) for name in _START if name in values}
    chosen = {name: values.pop(name) for name in _POOL if name in values}
    try:
        recipe, notes = replaced(base.recipe, values, given)
        pool = replace(base.pool, **chosen)
        variant = replace(base, recipe=recipe, pool=pool, notes=tuple(notes), **start)
    except ConfigError as error:
        raise ConfigError(f"entry {base.name}: {error}") from error
    variant = replace(variant, init=resolved(variant.init))
    if variant.warm_start_steps < 0:
        raise ConfigError(f"entry {base.name}: warm_start_steps {variant.warm_start_steps}; expected at least 0")
    return variant
