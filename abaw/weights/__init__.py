"""The weights that ship with the package, one folder a kind beside this file, under the name `builtin`."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from abaw.core.errors import DataError

Kind = Literal["static", "temporal"]

NAME = "builtin"
_ROOT = Path(__file__).resolve().parent
_SPEC = "spec.json"
DETECTOR: Final = _ROOT / "detector" / "detector.onnx"


def builtin(kind: Kind) -> Path:
    """The folder of the checkpoint of that kind. Raises DataError when the package was made without one."""
    folder = _ROOT / kind
    if not (folder / _SPEC).is_file():
        raise DataError(
            f"{NAME}: this package comes without a {kind} checkpoint ({folder} holds no {_SPEC}); give the folder of "
            "a checkpoint that you have trained, or install a package that has one"
        )
    return folder


def builtin_detector() -> Path:
    """The face detector's ONNX file. Raises DataError when the package was made without one."""
    if not DETECTOR.is_file():
        raise DataError(
            f"{NAME}: this package comes without a face detector ({DETECTOR} is not there); give insightface:PACK or "
            "the path of a SCRFD or YuNet .onnx file, or install a package that has one"
        )
    return DETECTOR


def resolve_checkpoint(path: Path, kind: Kind) -> Path:
    """A checkpoint as the user names it: `builtin` is the one of the package, anything else a folder as it is.

    A folder of one's own that is called builtin is named by a longer path, such as runs/builtin. Raises DataError as
    `builtin` does.
    """
    return builtin(kind) if path == Path(NAME) else path
