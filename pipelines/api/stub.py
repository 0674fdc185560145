"""The types of the Python API for editors and type checkers: makes `abaw/__init__.pyi` from the commands' settings.

python -m pipelines.api.stub > abaw/__init__.pyi
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pipelines.api import functions

_HEAD = '''"""Video affect competition pipeline: from videos of faces to per-frame expressions in the ABAW formats."""

# Made by `python -m pipelines.api.stub` from the commands' settings.

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from abaw.core.errors import AbawError as AbawError
from pipelines.api.call import ProgressChoice
from pipelines.api.faces import predict_faces as predict_faces
from pipelines.api.faces import predict_images as predict_images
from pipelines.api.reading import PathLike
from pipelines.api.reading import read_annotations as read_annotations
from pipelines.api.reading import read_faces as read_faces
from pipelines.api.reading import read_features as read_features
from pipelines.api.reading import read_predictions as read_predictions
from pipelines.api.results import Report, Run, VideoResult

CLASSES: tuple[str, ...]
__version__: str
__all__: list[str]
'''


def stub() -> str:
    """The text of `abaw/__init__.pyi`."""
    return "\n".join([_HEAD, *(_function(name) for name in sorted(functions.COMMANDS))])


def _function(name: str) -> str:
    signature = inspect.signature(getattr(functions, name))
    parts, starred = [], False
    for one in signature.parameters.values():
        if one.kind is inspect.Parameter.KEYWORD_ONLY and not starred:
            parts.append("*")
            starred = True
        default = "" if one.default is inspect.Parameter.empty else f" = {_value(one.default)}"
        parts.append(f"{one.name}: {_type(one.annotation)}{default}")
    lines = "".join(f"    {part},\n" for part in parts)
    return f"def {name}(\n{lines}) -> {_type(signature.return_annotation)}: ...\n"


def _value(value: Any) -> str:
    return repr(str(value)) if isinstance(value, Path) else repr(value)


def _type(kind: Any) -> str:
    """A type as it is written, for what callers may pass: texts for paths, one value for a sequence."""
    if isinstance(kind, str):
        return kind
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, inner))}]"
    if origin in (Union, types.UnionType):
        return " | ".join(dict.fromkeys(map(_type, inner)))
    if origin is tuple:
        return f"Sequence[{_type(inner[0])}]"
    if dataclasses.is_dataclass(kind) or origin is Mapping:
        return "Mapping[str, Any] | None"
    return {Path: "PathLike", type(None): "None"}.get(kind, getattr(kind, "__name__", str(kind)))


if __name__ == "__main__":
    sys.stdout.write(stub())
