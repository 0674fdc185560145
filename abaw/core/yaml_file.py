"""YAML files that a user names, read with limits on what they may become in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from abaw.core.errors import AbawError, DataError
from abaw.core.reading import read_errors

_MAX_NODES = 100_000


def read_yaml(path: Path, expected: str, kind: type[AbawError] = DataError) -> Any:
    """The value in a YAML file.

    Aliases count as often as they are used: a few lines can stand for gigabytes. expected: what the file is not, e.g.
    "not readable as a descriptor". Raises `kind` for a file that is not readable, not UTF-8, not YAML, has an alias
    inside itself, stands for more than 100,000 values, or has a NUL character in a text, which no path may have.
    """
    wrong = (UnicodeError, yaml.YAMLError, ValueError, RecursionError)
    with read_errors(path, expected, contents=wrong, kind=kind):
        text = path.read_bytes().decode("utf-8-sig")
        _size(yaml.compose(text, Loader=yaml.SafeLoader), {})
        return yaml.safe_load(text)


def _size(node: yaml.Node | None, known: dict[int, int]) -> int:
    """How many values a node stands for. known: by id, of the nodes so far; 0 for those that are being counted."""
    if node is None:
        return 0
    if id(node) not in known:
        known[id(node)] = 0
        known[id(node)] = 1 + sum(_size(child, known) for child in _children(node))
    size = known[id(node)]
    if not size:
        raise ValueError(f"line {node.start_mark.line + 1}: an alias contains itself")
    if size > _MAX_NODES:
        raise ValueError(f"line {node.start_mark.line + 1}: it stands for more than {_MAX_NODES} values")
    return size


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if "\0" in node.value:
        raise ValueError(f"line {node.start_mark.line + 1}: a NUL character")
    return []
