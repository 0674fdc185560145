"""Settings of a stage: from a config dataclass to a parser, and from words and YAML back to the dataclass.

Settings are taken in this order: defaults < `--config file.yaml` < command-line flags.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NoReturn, TypeVar, get_args, get_origin, get_type_hints

from docstring_parser import parse_from_object
from jsonargparse import ActionYesNo, ArgumentParser, Namespace, get_loader, set_loader
from yaml import YAMLError

from abaw.core.config import GIVEN, ONE_OF, fitted
from abaw.core.errors import ConfigError
from abaw.core.text import in_line
from pipelines.compare.overrides import hint
from pipelines.console import say, show
from pipelines.help import METAVARS, HelpFormatter, examples, plain_error, usage
from pipelines.recipe_files import PROFILE, files_first, given_settings

Config = TypeVar("Config")


def parse(
    config_class: type[Config], words: Sequence[str], prog: str, positional: str | None = None, exits: bool = True
) -> Config:
    """The config from command-line words.

    exits: wrong words end the process with status 2 and one line; otherwise they raise ConfigError.
    """
    parser = make_parser(config_class, prog, positional, words)
    parser.exits = exits
    try:
        ordered = files_first(_positional_first(words, positional))
    except ConfigError as error:
        parser.error(str(error))
    values = parser.parse_args(ordered)
    notes: list[str] = []
    config: Config = _build(config_class, values, given_settings(words), notes)
    for note in notes:
        say(note)
    return config


def _positional_first(words: Sequence[str], positional: str | None) -> Sequence[str]:
    """The words with the values of `--videos` in front, where the parser expects those of the field `videos`."""
    flag = f"--{positional}"
    if positional is None or flag not in words:
        return words
    start = words.index(flag)
    end = next((place for place in range(start + 1, len(words)) if words[place].startswith("--")), len(words))
    return [*words[start + 1 : end], *words[:start], *words[end:]]


# A path that is not UTF-8 is not YAML either, but the parser by itself does not expect that.
set_loader("yaml", get_loader("yaml"), exceptions=(YAMLError, UnicodeEncodeError))


def make_parser(
    config_class: type[Any], prog: str, positional: str | None = None, words: Sequence[str] = ()
) -> _Parser:
    """A flag for every field of the config; `positional` names the field that takes the words without a flag.

    words: the command line; when it asks for help, only the groups of settings that it chooses are shown.
    """
    described = parse_from_object(config_class)
    parser = _Parser(
        prog=prog,
        description=described.short_description or "",
        epilog=examples(config_class),
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--config", action="config", metavar="PATH_OR_RECIPE", help=_CONFIG)
    parser.add_argument(PROFILE, metavar="NAME", default=argparse.SUPPRESS, help=_PROFILE)
    next(each for each in parser._actions if "--print_config" in each.option_strings).help = _PRINT_CONFIG
    shown = words if {"-h", "--help"} & set(words) else None
    _add_fields(parser, parser, config_class, prefix="", positional=positional, shown=shown)
    parser.usage = usage(prog, parser._actions)
    return parser


_CONFIG = "YAML file with settings, or the name of a recipe of the package; flags override it"
_PROFILE = "variant of the recipe, such as small, which runs in minutes"
_PRINT_CONFIG = "print all settings as YAML and exit; with =skip_default, those that differ from the defaults"
_UNKNOWN = re.compile(r"unrecognized arguments?: (?P<flag>--?[\w.-]+)|Option '(?P<key>[\w.]+)'")


class _Parser(ArgumentParser):
    """Errors in one line with the nearest setting, exit status 2; ConfigError instead unless `exits`."""

    exits = True

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        text = f"{in_line(plain_error(message))}{self._hint(message)}"
        if not self.exits:
            raise ConfigError(text)
        show(f"{self.prog}: error: {text}", sys.stderr)
        print(f"See `{self.prog} --help`.", file=sys.stderr)
        sys.exit(2)

    def _hint(self, message: str) -> str:
        """The nearest setting: a flag with its dashes, a key of a file without."""
        unknown = _UNKNOWN.search(message)
        if unknown is None:
            return ""
        flags = [flag for action in self._actions for flag in action.option_strings if flag.startswith("--")]
        known = dict.fromkeys(flag.removeprefix("--") for flag in flags)
        match = hint((unknown["flag"] or unknown["key"]).lstrip("-"), known)
        if unknown["flag"]:
            match = match.replace("'", "'--", 1)
        return f".{match}" if match else ""


class _ValuesByName(argparse.Action):
    """`name=1,2 other=x` on the command line, `{name: [1, 2], other: x}` in YAML -> {name: ["1", "2"], other: ["x"]}.

    Settings as values, `{name: {steps: 5}}` in YAML and `name=steps=5` on the command line, come as texts: "steps=5".

    A name that is given again replaces its values and leaves the other names unchanged.
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
    parser: ArgumentParser,
    place: Any,
    config_class: type[Any],
    prefix: str,
    positional: str | None = None,
    defaults: Any = None,
    shown: Sequence[str] | None = None,
    hidden: bool = False,
) -> None:
    """One argument per field: sequences take several words, booleans are switches, nested configs get a prefix.

    place: the parser, or a group of it; defaults: a config of this class with the defaults, None for those of the
    class; shown: the words that ask for help, which choose among groups; hidden: nothing of this class is shown.
    """
    types = get_type_hints(config_class)
    texts = _texts_of_fields(config_class)
    for field in dataclasses.fields(config_class):
        if GIVEN in field.metadata:
            continue
        kind, text = types[field.name], " ".join((texts.get(field.name) or "").split())
        if dataclasses.is_dataclass(kind):
            assert isinstance(kind, type)
            title = f"{prefix}{field.name}"
            left_out = hidden or _is_left_out(field, config_class, shown)
            if ONE_OF in field.metadata:
                text = _choice_text(field, config_class)
            group = parser if left_out else parser.add_argument_group(title, text)
            inner = _default(field, defaults)
            _add_fields(parser, group, kind, f"{title}.", defaults=inner, shown=shown, hidden=left_out)
            continue
        default = _default(field, defaults)
        options = {**_options(kind), "help": argparse.SUPPRESS if hidden else text}
        if field.name == positional:
            place.add_argument(field.name, **{**options, "metavar": field.name.upper()})
        elif default is dataclasses.MISSING:
            place.add_argument(f"--{prefix}{field.name}", required=True, **options)
        else:
            place.add_argument(f"--{prefix}{field.name}", default=default, **options)


def _options(kind: Any) -> dict[str, Any]:
    """How an argument of this type is read."""
    if kind is bool:
        return {"action": ActionYesNo(yes_prefix="", no_prefix="no-")}
    if get_origin(kind) is Mapping:
        return {"nargs": "+", "action": _ValuesByName, "metavar": "NAME=VALUE,VALUE"}
    several = get_origin(kind) is tuple
    one = get_args(kind)[0] if several else kind
    names = [METAVARS[each] for each in (one, *get_args(one)) if each in METAVARS]
    return {
        "type": one,
        **({"nargs": "+"} if several else {}),
        **({"metavar": names[0]} if names else {}),
    }


def _is_left_out(field: dataclasses.Field[Any], config_class: type[Any], words: Sequence[str] | None) -> bool:
    """Whether a help text leaves out this group, because the setting that chooses among such groups is another one."""
    choice = field.metadata.get(ONE_OF)
    if choice is None or words is None:
        return False
    values = [each.default for each in dataclasses.fields(config_class) if each.name == choice]
    values += [word.partition("=")[2] for word in words if word.startswith(f"--{choice}=")]
    values += [value for flag, value in pairwise(words) if flag == f"--{choice}"]
    return values[-1] != field.name


def _choice_text(field: dataclasses.Field[Any], config_class: type[Any]) -> str:
    """What a help text says of a group that a setting chooses: how to see the others."""
    choice = field.metadata[ONE_OF]
    names = [each.name for each in dataclasses.fields(config_class) if each.metadata.get(ONE_OF) == choice]
    return (
        f"settings of --{choice} {field.name}; `--{choice} NAME --help` shows those of "
        f"{', '.join(name for name in names if name != field.name)}"
    )


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


def _build(
    config_class: type[Any], values: Namespace, given: frozenset[str], notes: list[str], prefix: str = ""
) -> Any:
    """The frozen config from parsed values: lists become tuples, groups become nested configs.

    given: names of the settings on the command line, which are never adapted; notes: gets a line for each that is.
    """
    types = get_type_hints(config_class)
    arguments: dict[str, Any] = {}
    for field in dataclasses.fields(config_class):
        if GIVEN in field.metadata:
            arguments[field.name] = tuple(sorted(given))
            continue
        value, kind = getattr(values, field.name), types[field.name]
        if dataclasses.is_dataclass(kind):
            assert isinstance(kind, type)
            with _naming_the_section(field.name, kind):
                value = _build(kind, value, given, notes, f"{prefix}{field.name}.")
        if value is None and type(None) not in get_args(kind):  # `lr:` in a file; the parser lets it pass
            raise ConfigError(
                f"{prefix}{field.name}: expected a value, found none; give one, or leave this setting out"
            )
        if isinstance(value, Mapping):
            value = {name: tuple(values) for name, values in value.items()}
        arguments[field.name] = tuple(value) if isinstance(value, list) else value
    changed, lines = fitted(config_class, arguments, given, prefix)
    notes += lines
    return config_class(**{**arguments, **changed})


@contextmanager
def _naming_the_section(section: str, kind: type[Any]) -> Iterator[None]:
    """Errors that begin with a setting of this class name its section as well: `leaf.temperature is -1.0; …`."""
    try:
        yield
    except ConfigError as error:
        first_word = re.split(r"\W", str(error), maxsplit=1)[0]
        is_setting = first_word in {field.name for field in dataclasses.fields(kind)}
        raise ConfigError(f"{section}{'.' if is_setting else ': '}{error}") from error
