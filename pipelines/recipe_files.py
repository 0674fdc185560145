"""`--config`: a YAML file, or a recipe of the package by its bare name (`static_affwild2`, `bench/ferplus`)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from abaw.core.errors import ConfigError, nearest
from abaw.core.yaml_file import read_yaml

_FLAG = "--config"
_PIPE = "/dev/fd/"
"""A shell's pipe (`--config <(...)`), which can be read only once."""


def recipe_names() -> list[str]:
    """The recipes of the package, sorted: `ablate_demo`, …, `bench/ferplus`, …"""
    folder = _folder()
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml")]
    return sorted(names, key=lambda name: ("/" in name, name))


def recipe(name: str) -> Path:
    """The file of a recipe of the package. Raises ConfigError for another name."""
    known = recipe_names()
    if name not in known:
        near = nearest(name, known) or nearest(Path(name).stem, known)
        raise ConfigError(f"no file and no recipe '{name}'; recipes are {', '.join(known)}.{near}")
    return _folder() / f"{name}.yaml"


def _folder() -> Path:
    return Path(str(files("pipelines"))) / "recipes"


def _is_file(value: str) -> bool:
    """A pipe (`--config <(...)`) counts as a file."""
    path = Path(value)
    return path.exists() and not path.is_dir()


def config_path(value: str) -> str:
    """A file unchanged, or the file of the recipe of this name.

    Raises ConfigError when there is neither, or when the file is not a YAML file of a reasonable size.
    """
    if not _is_file(value):
        return str(recipe(value))
    if not value.startswith(_PIPE):
        read_yaml(Path(value), "not readable as settings", ConfigError)
    return value


def readable_configs(words: Sequence[str]) -> list[Path]:
    """The files of `--config` that can be read twice: no pipes, and none that the parser will refuse."""
    found: list[Path] = []
    for value in _split(words)[0]:
        with suppress(ConfigError):
            if value and not value.startswith(_PIPE):
                found.append(Path(config_path(value)))
    return found


def files_first(words: Sequence[str]) -> list[str]:
    """The command line with the paths of `--config` in front: flags override files wherever they are.

    Raises ConfigError for a value that is neither a file nor a recipe.
    """
    configs, others = _split(words)
    # A flag without a value is left to the parser, which reports it.
    return [word for value in configs for word in ([_FLAG, config_path(value)] if value else [_FLAG])] + others


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The values of `--config`, "" for one that is missing, and the other words."""
    configs: list[str] = []
    others: list[str] = []
    rest = iter(words)
    for word in rest:
        flag, equals, value = word.partition("=")
        if flag == _FLAG:
            configs.append(value if equals else next(rest, ""))
        else:
            others.append(word)
    return configs, others


def given_settings(words: Sequence[str]) -> frozenset[str]:
    """The names of the settings that are given as flags."""
    return frozenset(word.removeprefix("--").partition("=")[0] for word in words if word.startswith("--"))
