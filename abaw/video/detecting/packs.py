"""The model packs of insightface: finding or downloading the detector of one."""

from __future__ import annotations

import contextlib
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from abaw.core.errors import ConfigError, DataError
from abaw.core.folders import names_in, user_files
from abaw.video.detecting.graph import read_graph
from abaw.video.detecting.names import DEFAULT_PACK
from abaw.video.detecting.scrfd import ScrfdNetwork

_NAME = re.compile(r"(?!\.{1,2}$)[\w.-]+", re.ASCII)


def packs_folder() -> Path:
    """Where insightface keeps its packs."""
    return Path("~/.insightface/models").expanduser()


def installed_packs() -> Iterator[str]:
    """The names of the packs on disk that contain a detector, the default one first."""
    folder = packs_folder()
    names = [DEFAULT_PACK, *(names_in(folder) if folder.is_dir() else [])]
    for name in dict.fromkeys(names):
        if _NAME.fullmatch(name) and find_pack(name) is not None:
            yield name


def pack_folder(pack: str) -> Path:
    """Where insightface keeps a pack. Raises ConfigError for what is not a name: a path would leave its folder."""
    if not _NAME.fullmatch(pack):
        raise ConfigError(
            f"no insightface pack '{pack}': expected a name of letters, digits, '.', '_' and '-', such as buffalo_l; "
            "for a file, give the path of its .onnx as the detector"
        )
    return packs_folder() / pack


def find_pack(pack: str) -> Path | None:
    """The detector's `.onnx` of an installed pack, None if it is not installed."""
    for file in _models(pack):
        with contextlib.suppress(DataError):  # a damaged file of another model does no harm
            if ScrfdNetwork.recognises(read_graph(file)):
                return file
    return None


def _models(pack: str) -> list[Path]:
    """The `.onnx` files of a pack, the smallest first."""
    files = [file for file in user_files(pack_folder(pack)) if file.suffix == ".onnx"]
    return sorted(files, key=lambda found: (found.stat().st_size, found.name))


def fetch_pack(pack: str) -> Path:
    """The same; insightface downloads a pack that is not installed. Raises DataError with a remedy if that fails.

    Raises ConfigError for what is not a name.
    """
    found = find_pack(pack)
    if found is None:
        _download(pack)
        found = find_pack(pack)
    if found is None:
        for file in _models(pack):
            read_graph(file)  # raises DataError for the file that may be the detector, with its own remedy
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
            f"({type(error).__name__}); check the pack's name and the network. Without a network, copy the folder from "
            "a machine that has it, or use another detector: the path of a SCRFD or YuNet .onnx file, or 'builtin'"
        ) from error
