"""The weights that ship with the package under the name `builtin`, one folder per kind next to this file."""

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
    """The folder of the built-in checkpoint of this kind. Raises DataError when the package has none."""
    folder = _ROOT / kind
    if not (folder / _SPEC).is_file():
        raise DataError(
            f"{NAME}: this package has no {kind} checkpoint (no {_SPEC} in {folder}); give the folder of "
            "a checkpoint that you trained, or install a package with one"
        )
    return folder


def builtin_detector() -> Path:
    """The ONNX file of the built-in face detector. Raises DataError when the package has none."""
    if not DETECTOR.is_file():
        raise DataError(
            f"{NAME}: this package has no face detector ({DETECTOR} is missing); give insightface:PACK or "
            "the path of a SCRFD or YuNet .onnx file, or install a package with one"
        )
    return DETECTOR


def resolve_checkpoint(path: Path, kind: Kind) -> Path:
    """The folder of a checkpoint: `builtin` means the one in the package; any other path is returned unchanged.

    To name a folder called builtin, use a longer path such as ./runs/builtin. Raises DataError as `builtin` does.
    """
    return builtin(kind) if path == Path(NAME) else path
