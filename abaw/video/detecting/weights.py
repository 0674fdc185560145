"""Detector weights: where insightface keeps its packs, and which detector an ONNX file holds."""

from __future__ import annotations

import contextlib
import sys
import zipfile
from pathlib import Path
from typing import Literal

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from abaw.core.errors import DataError

_SCRFD_OUTPUTS = (6, 9, 10, 15)
_YUNET_OUTPUTS = {f"{part}_{stride}" for part in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32)}
_GREY_OUTPUTS = {f"faces_{stride}" for stride in (8, 16, 32)}


def pack_folder(pack: str) -> Path:
    """Where insightface keeps the pack of that name."""
    return Path("~/.insightface/models").expanduser() / pack


def find_pack(pack: str) -> Path | None:
    """The detector's `.onnx` of a pack in insightface's folder, None when it is not there."""
    for file in sorted(pack_folder(pack).rglob("*.onnx"), key=lambda found: (found.stat().st_size, found.name)):
        with contextlib.suppress(DataError):  # recognition and landmark models lie beside it
            if detector_kind(file) == "scrfd":
                return file
    return None


def fetch_pack(pack: str) -> Path:
    """The same, downloaded by insightface when it is not there. Raises DataError that tells what to do otherwise."""
    found = find_pack(pack)
    if found is None:
        _download(pack)
        found = find_pack(pack)
    if found is None:
        raise DataError(f"{pack_folder(pack)}: holds no SCRFD detector; remove the folder to download the pack again")
    return found


def _download(pack: str) -> None:
    from insightface.utils import ensure_available

    try:
        with contextlib.redirect_stdout(sys.stderr):
            ensure_available("models", pack)
    except (OSError, RuntimeError, zipfile.BadZipFile) as error:
        raise DataError(
            f"insightface:{pack}: not in {pack_folder(pack)} and the download failed "
            f"({type(error).__name__}); check the pack's name and the network, or copy the folder from a machine that "
            "has it, or use another detector: the path of a SCRFD or YuNet .onnx file, or 'builtin'"
        ) from error


def detector_kind(weights: Path) -> Literal["scrfd", "yunet", "grey"]:
    """Which detector a file holds, by the outputs of its graph. Raises DataError for any other content."""
    try:
        graph = onnx.load(str(weights), load_external_data=False).graph
    except (DecodeError, OSError, ValueError) as error:
        raise DataError(f"{weights}: is no readable ONNX file; get it again") from error
    outputs = [output.name for output in graph.output]
    if set(outputs) == _YUNET_OUTPUTS:
        return "yunet"
    if set(outputs) == _GREY_OUTPUTS:
        return "grey"
    if len(outputs) in _SCRFD_OUTPUTS and _widths_are_scrfd(graph):
        return "scrfd"
    raise DataError(
        f"{weights}: holds neither a SCRFD nor a YuNet face detector, nor one of train-detector (outputs: "
        f"{', '.join(outputs[:6]) or 'none'}); "
        "give the weights of one of these"
    )


def _widths_are_scrfd(graph: onnx.GraphProto) -> bool:
    """Scores, boxes and landmarks have rows of 1, 4 and 10; a graph that leaves the widths open passes."""
    strides = 5 if len(graph.output) in (10, 15) else 3
    for index, output in enumerate(graph.output):
        dimensions = output.type.tensor_type.shape.dim
        width = dimensions[-1].dim_value if dimensions else 0
        if width and width != (1, 4, 10)[index // strides]:
            return False
    return len(graph.input) == 1
