"""The model packs of insightface: finding or downloading the detector of one."""

from __future__ import annotations

import contextlib
import sys
import zipfile
from pathlib import Path

from abaw.core.errors import DataError
from abaw.video.detecting.graph import read_graph
from abaw.video.detecting.scrfd import ScrfdNetwork


def pack_folder(pack: str) -> Path:
    """Where insightface keeps a pack."""
    return Path("~/.insightface/models").expanduser() / pack


def find_pack(pack: str) -> Path | None:
    """The detector's `.onnx` of an installed pack, None if it is not installed."""
    for file in sorted(pack_folder(pack).rglob("*.onnx"), key=lambda found: (found.stat().st_size, found.name)):
        with contextlib.suppress(DataError):  # a damaged file of another model does no harm
            if ScrfdNetwork.recognises(read_graph(file)):
                return file
    return None


def fetch_pack(pack: str) -> Path:
    """The same; insightface downloads a pack that is not installed. Raises DataError with a remedy if that fails."""
    found = find_pack(pack)
    if found is None:
        _download(pack)
        found = find_pack(pack)
    if found is None:
        raise DataError(
            f"{pack_folder(pack)}: contains no SCRFD detector; remove the folder to download the pack again"
        )
    return found


def _download(pack: str) -> None:
    # It takes seconds to import; an installed pack does not need it.
    from insightface.utils import ensure_available

    try:
        with contextlib.redirect_stdout(sys.stderr):
            ensure_available("models", pack)
    except (OSError, RuntimeError, zipfile.BadZipFile) as error:
        raise DataError(
            f"insightface:{pack}: not in {pack_folder(pack)}, and the download failed "
            f"({type(error).__name__}); check the pack's name and the network, copy the folder from a machine that "
            "has it, or use another detector: the path of a SCRFD or YuNet .onnx file, or 'builtin'"
        ) from error
