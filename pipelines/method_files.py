"""Methods in files outside the package that a command line or its recipe names: their settings become flags."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from abaw.core.config import ONE_OF
from abaw.core.yaml_file import read_yaml
from pipelines.recipe_files import readable_configs

_CHOICE = "method"
_SUFFIX = ".py"


def with_method_files(config_class: type[Any], words: Sequence[str]) -> tuple[type[Any], list[str]]:
    """The config class with a group of settings for every method file, and the words with its name after `--method`.

    Raises ConfigError for a file that defines no method.
    """
    if not any(field.metadata.get(ONE_OF) == _CHOICE for field in fields(config_class)):
        return config_class, list(words)
    files = [*_in_words(words), *_in_configs(words)]
    if not files and not _known_from_earlier():
        return config_class, list(words)
    # Loaded on use: other commands answer without the methods.
    from abaw.semisup.registry import method_name
    from abaw.training.static_recipe import with_methods

    names = {file: method_name(file) for file in files}
    extended = with_methods(config_class.__bases__[0], config_class.__name__, config_class.__module__)
    return extended, list(_named(words, names))


def _known_from_earlier() -> bool:
    """Whether an earlier call in this process named files: their methods stay known."""
    registry = sys.modules.get("abaw.semisup.registry")  # not loaded here: other commands answer without the methods
    return registry is not None and bool(registry.method_files())


def _in_words(words: Sequence[str]) -> list[str]:
    """Also in `--only FILE` and `--entries x=method=FILE,power=3`."""
    parts = (part for word in words for part in word.replace(",", "=").split("="))
    return [part for part in parts if part.endswith(_SUFFIX)]


def _in_configs(words: Sequence[str]) -> Iterator[str]:
    for path in readable_configs(words):
        values = read_yaml(path, "not readable as settings")
        if isinstance(values, dict):
            yield from _strings({key: values.get(key) for key in (_CHOICE, "only", "entries")})


def _strings(value: Any) -> Iterator[str]:
    """The paths of files among nested values."""
    if isinstance(value, str):
        yield from _in_words([value])
    elif isinstance(value, dict):
        yield from _strings([*value, *value.values()])
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)


def _named(words: Sequence[str], names: dict[str, str]) -> Iterator[str]:
    before = ""
    for word in words:
        flag, equals, value = word.partition("=")
        if before == f"--{_CHOICE}":
            yield names.get(word, word)
        elif flag == f"--{_CHOICE}" and equals:
            yield f"{flag}={names.get(value, value)}"
        else:
            yield word
        before = word
