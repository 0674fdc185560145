"""No setting takes a number that is not finite, and no weight one below 0: training would go wrong without a word."""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

import pytest

import abaw
from abaw.core.errors import ConfigError


def numbers() -> Iterator[tuple[type[Any], str]]:
    """Every field of a settings class that is a float."""
    for module in pkgutil.walk_packages(abaw.__path__, "abaw."):
        if not module.name.rpartition(".")[2].endswith("settings"):
            continue
        for kind in vars(importlib.import_module(module.name)).values():
            if isinstance(kind, type) and is_dataclass(kind) and kind.__module__ == module.name:
                hints = get_type_hints(kind)
                yield from ((kind, field.name) for field in fields(kind) if hints[field.name] is float)


NUMBERS = sorted(set(numbers()), key=lambda each: (each[0].__qualname__, each[1]))


@pytest.mark.parametrize(("kind", "name"), NUMBERS, ids=[f"{kind.__name__}.{name}" for kind, name in NUMBERS])
def test_a_setting_is_finite_and_a_weight_not_below_0(kind: type[Any], name: str) -> None:
    for value in (math.nan, math.inf, -math.inf, *([-0.5] if name.endswith(("weight", "temperature")) else [])):
        with pytest.raises(ConfigError, match=name):
            kind(**{name: value})


def test_the_settings_are_found() -> None:
    names = {f"{kind.__name__}.{name}" for kind, name in NUMBERS}
    assert {"LossWeights.teacher", "SpatialSettings.debias", "TrainSettings.lr", "SceneSettings.degrees"} <= names
