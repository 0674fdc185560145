"""Settings of a stage: from a config dataclass to a parser, and from words and YAML back to the dataclass.

Settings are taken in this order: defaults < `--config file.yaml` < command-line flags.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn, TypeVar, get_args, get_origin, get_type_hints

from docstring_parser import parse_from_object
from jsonargparse import ActionYesNo, ArgumentParser, Namespace

from abaw.core.errors import ConfigError, nearest

Config = TypeVar("Config")


def recipe(name: str) -> Path:
    """The file of a recipe that ships, e.g. `static_demo`. Raises ConfigError for another name."""
    folder = Path(str(files("pipelines"))) / "recipes"
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in folder.glob("*.yaml"))
        raise ConfigError(f"no recipe '{name}'; there are {', '.join(known)}.{nearest(name, known)}")
    return path


def parse(config_class: type[Config], words: Sequence[str], prog: str, positional: str | None = None) -> Config:
    """The config from command-line words. Ends the process with status 2 and one line when they are wrong."""
    values = make_parser(config_class, prog, positional).parse_args(list(words))
    config: Config = _build(config_class, values)
    return config


def make_parser(
    config_class: type[Any], prog: str, positional: str | None = None, description: str = ""
) -> ArgumentParser:
    """A flag for every field of the config; `positional` names the field that takes the words without a flag."""
    parser = _Parser(prog=prog, description=description)
    parser.add_argument("--config", action="config", help="YAML file with settings; flags on the command line win")
    _add_fields(parser, config_class, prefix="", positional=positional)
    return parser


_UNKNOWN = re.compile(r"(?:unrecognized arguments?: |[Oo]ption ['\"])-*([\w.-]+)")


class _Parser(ArgumentParser):
    """Errors in one line with the nearest setting, exit status 2."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        text = " ".join(message.split())
        unknown = _UNKNOWN.search(text)
        print(f"{self.prog}: error: {text}{self._hint(unknown[1]) if unknown else ''}", file=sys.stderr)
        print(f"See `{self.prog} --help`.", file=sys.stderr)
        sys.exit(2)

    def _hint(self, unknown: str) -> str:
        flags = [option.lstrip("-") for action in self._actions for option in action.option_strings]
        last = {flag.rpartition(".")[2]: flag for flag in flags}
        match = nearest(unknown, flags) or nearest(unknown.rpartition(".")[2], last)
        return f".{match}" if match else ""


class _ValuesByName(argparse.Action):
    """`name=1,2 other=x` on the command line, `{name: [1, 2], other: x}` in YAML -> {name: ["1", "2"], other: ["x"]}.

    Settings as values, `{name: {steps: 5}}` in YAML and `name=steps=5` on the command line, come as texts: "steps=5".

    A name that is given again replaces its values and leaves the other names as they are.
    """

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option_string: str | None = None
    ) -> None:
        try:
            given = _values_by_name(values)
        except TypeError as error:
            raise argparse.ArgumentError(self, str(error)) from error
        setattr(namespace, self.dest, {**(getattr(namespace, self.dest, None) or {}), **given})

    def _check_type(self, value: Any, **_: Any) -> dict[str, list[str]]:
        """What jsonargparse calls for values from a file."""
        return _values_by_name(value)

    _check_type_ = _check_type


def _values_by_name(values: Any) -> dict[str, list[str]]:
    if isinstance(values, Mapping):
        return {str(name): _texts(value) for name, value in values.items()}
    words = [values] if isinstance(values, str) else values
    pairs = [word.partition("=") for word in words]
    for name, _, value in pairs:
        if not name or not value:
            raise TypeError(f"expected NAME=VALUE,VALUE; found '{name}'")
    return {name: value.split(",") for name, _, value in pairs}


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.split(",")
    if isinstance(value, Mapping):
        return [f"{name}={_text(inner)}" for name, inner in value.items()]
    values = value if isinstance(value, list | tuple) else [value]
    return [_text(each) for each in values]


def _text(value: Any) -> str:
    """As it is written on the command line."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _add_fields(
    parser: ArgumentParser, config_class: type[Any], prefix: str, positional: str | None = None, defaults: Any = None
) -> None:
    """One argument a field: sequences take several words, booleans are switches, nested configs get a prefix.

    defaults: a config of this class whose values are the defaults; without it, those of the class.
    """
    types = get_type_hints(config_class)
    texts = _texts_of_fields(config_class)
    for field in dataclasses.fields(config_class):
        kind = types[field.name]
        if dataclasses.is_dataclass(kind):
            assert isinstance(kind, type)
            _add_fields(parser, kind, f"{prefix}{field.name}.", defaults=_default(field, defaults))
            continue
        options: dict[str, Any] = {"help": " ".join((texts.get(field.name) or "").split()), "type": kind}
        if get_origin(kind) is tuple:
            options.update(nargs="+", type=get_args(kind)[0])
        if get_origin(kind) is Mapping:
            options.update(nargs="+", action=_ValuesByName, metavar="NAME=VALUE,VALUE")
            del options["type"]
        if kind is bool:
            options.update(action=ActionYesNo(yes_prefix="", no_prefix="no-"))
            del options["type"]
        default = _default(field, defaults)
        if field.name == positional:
            parser.add_argument(field.name, metavar=field.name.upper(), **options)
        elif default is dataclasses.MISSING:
            parser.add_argument(f"--{prefix}{field.name}", required=True, **options)
        else:
            parser.add_argument(f"--{prefix}{field.name}", default=default, **options)


def _texts_of_fields(config_class: type[Any]) -> dict[str, str | None]:
    """What the docstrings say of each field, those of the classes that it is derived from included."""
    derived = [each for each in reversed(config_class.__mro__) if dataclasses.is_dataclass(each)]
    return {entry.arg_name: entry.description for each in derived for entry in parse_from_object(each).params}


def _default(field: dataclasses.Field[Any], defaults: Any) -> Any:
    if defaults is not None:
        value = getattr(defaults, field.name)
    else:
        value = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
    return list(value) if isinstance(value, tuple) else value


def _build(config_class: type[Any], values: Namespace) -> Any:
    """The frozen config from parsed values: lists become tuples, groups become nested configs."""
    types = get_type_hints(config_class)
    arguments: dict[str, Any] = {}
    for field in dataclasses.fields(config_class):
        value, kind = getattr(values, field.name), types[field.name]
        if dataclasses.is_dataclass(kind):
            assert isinstance(kind, type)
            value = _build(kind, value)
        if isinstance(value, Mapping):
            value = {name: tuple(values) for name, values in value.items()}
        arguments[field.name] = tuple(value) if isinstance(value, list) else value
    return config_class(**arguments)
