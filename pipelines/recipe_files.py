"""`--config`: a YAML file, or a recipe of the package by its bare name (`static_affwild2`, `bench/ferplus`).

A recipe `NAME.yaml` can have profiles: `NAME.small.yaml` next to it, with the settings that `--profile small` changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from abaw.core.errors import ConfigError, nearest
from abaw.core.yaml_file import read_yaml

_FLAG = "--config"
PROFILE = "--profile"
_MOVED = {"static_semisupervised": "recommended/static", "temporal_affwild2": "recommended/temporal"}
"""Earlier names of recipes, which stay valid."""
_PIPE = "/dev/fd/"
"""A shell's pipe (`--config <(...)`), which can be read only once."""


def recipe_names() -> list[str]:
    """The recipes of the package, sorted: `ablate_demo`, …, `bench/ferplus`, …"""
    folder = _folder()
    paths = [path for path in folder.rglob("*.yaml") if "." not in path.stem]  # the others are profiles
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in paths]
    return sorted(names, key=lambda name: ("/" in name, name))


def recipe(name: str) -> Path:
    """The file of a recipe of the package. Raises ConfigError for another name."""
    known = recipe_names()
    if name not in {*known, *_MOVED}:
        near = nearest(name, known) or nearest(Path(name).stem, known)
        raise ConfigError(f"no file and no recipe '{name}'; recipes are {', '.join(known)}.{near}")
    return _folder() / f"{_MOVED.get(name, name)}.yaml"


def profiles(config: Path) -> dict[str, Path]:
    """The profiles of a recipe or of any other YAML file, by name."""
    found = sorted(config.parent.glob(f"{config.stem}.*{config.suffix}"))
    return {path.stem.removeprefix(f"{config.stem}."): path for path in found}


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

    `--profile` becomes one more `--config`. Raises ConfigError for a value that is neither a file nor a recipe, and for
    a profile that no recipe has.
    """
    values, others = _split(words)
    names, others = _split(others, PROFILE)
    # A flag without a value is left to the parser, which reports it.
    configs = [config_path(value) if value else "" for value in values]
    configs += [str(_profile(name, configs)) for name in names]
    return [word for path in configs for word in ([_FLAG, path] if path else [_FLAG])] + others


def _profile(name: str, configs: Sequence[str]) -> Path:
    known = {each: path for config in configs for each, path in profiles(Path(config)).items()}
    if name in known:
        return known[name]
    if not configs:
        raise ConfigError(f"{PROFILE} {name}: profiles belong to recipes; give one with {_FLAG}")
    there = f"; expected {', '.join(known)}" if known else ", which has no profiles"
    raise ConfigError(f"{PROFILE} {name}: no such profile of {', '.join(configs)}{there}")


def _split(words: Sequence[str], wanted: str = _FLAG) -> tuple[list[str], list[str]]:
    """The values of a flag, "" for one that is missing, and the other words."""
    values: list[str] = []
    others: list[str] = []
    rest = iter(words)
    for word in rest:
        flag, equals, value = word.partition("=")
        if flag == wanted:
            values.append(value if equals else next(rest, ""))
        else:
            others.append(word)
    return values, others


def given_settings(words: Sequence[str]) -> frozenset[str]:
    """The names of the settings that are given as flags."""
    return frozenset(word.removeprefix("--").partition("=")[0] for word in words if word.startswith("--"))
