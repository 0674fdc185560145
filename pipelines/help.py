"""What `--help` shows and how wrong usage is reported, both without names of Python's types."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from docstring_parser import parse_from_object
from jsonargparse import ActionYesNo, DefaultHelpFormatter

METAVARS = {int: "N", float: "NUMBER", str: "TEXT", Path: "PATH"}

_EXPECTED = re.compile(r"Expected an? (?:typing\.)?(?:Literal\[(?P<choices>[^]]*)\]|<class '(?P<kind>[\w.]+)'>)")
_FOUND = re.compile(r"(?:Got|Given) value: (?P<value>.*)$")
_KEY = re.compile(r'^Parser key "(?P<key>[\w.]+)"(?: element \d+)?: ')
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "NoneType": "null",
}


class HelpFormatter(DefaultHelpFormatter):
    """Defaults are shown as they are written on the command line; types are shown by the placeholder alone."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = (action.help or "").replace("%", "%%")
        note = "required" if action.required and action.option_strings else _default(action)
        return f"{text} ({note})" if note else text

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        # Examples are lines to copy: they are not wrapped.
        return text if "\n" in text else super()._fill_text(text, width, indent)


def _default(action: argparse.Action) -> str:
    """`default: …`, or nothing where there is none to show."""
    value = action.default
    if isinstance(action, ActionYesNo):
        value = "on" if value else "off"
    elif isinstance(value, list | tuple):
        value = " ".join(map(str, value))
    if value is None or value == argparse.SUPPRESS or value in ("", {}):
        return ""
    return f"default: {value}".replace("%", "%%")


def usage(prog: str, actions: Sequence[argparse.Action]) -> str:
    """One line: what must be given, then `[settings]`."""
    words = []
    for action in (action for action in actions if action.required):
        value = f"{action.metavar or action.dest.upper()}{' ...' if action.nargs else ''}"
        words.append(f"{action.option_strings[0]} {value}" if action.option_strings else value)
    return " ".join([prog, *words, "[settings]"])


def examples(config_class: type[Any]) -> str:
    """The section `Examples` of a config's docstring, as the end of the help text; empty without one."""
    lines = [line for each in parse_from_object(config_class).examples for line in (each.description or "").split("\n")]
    return "\n".join(["examples:", *(f"  {line}" for line in lines)]) if lines else ""


def plain_error(message: str) -> str:
    """A message of the parser in one line of plain words."""
    text = " ".join(message.split())
    key, found = _KEY.match(text), _FOUND.search(text)
    expected = [
        f"one of {each['choices'].replace(chr(39), '')}" if each["choices"] else _KINDS.get(each["kind"], each["kind"])
        for each in _EXPECTED.finditer(text)
    ]
    if key is None:
        return re.sub(r"^Option '([\w.]+)' is not accepted", r"no setting '\1'", text)
    if not expected or found is None:
        return f"{key['key']}: {text[key.end() :]}"
    return f"{key['key']}: expected {' or '.join(expected)}; found '{found['value']}'"
