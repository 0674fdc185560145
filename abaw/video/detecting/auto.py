"""The detector that `auto` stands for on this machine. Nothing is downloaded."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2

from abaw.core.errors import DataError
from abaw.core.folders import user_files
from abaw.video.detecting.graph import read_graph
from abaw.video.detecting.names import BUILTIN, PACK_PREFIX
from abaw.video.detecting.packs import installed_packs, packs_folder
from abaw.video.detecting.scrfd import ScrfdNetwork
from abaw.video.detecting.yunet import YuNetNetwork

_MAX_BYTES = 64 * 2**20
"""Larger files in the model folders are not opened: detectors are small."""


@dataclass(frozen=True, slots=True)
class Choice:
    """name: of a detector, as `open_detector` takes it; reason: why this one, to be shown."""

    name: str
    reason: str


def choose_detector() -> Choice:
    """An insightface pack, else a YuNet or SCRFD in a model folder of OpenCV or insightface, else the builtin one."""
    for pack in installed_packs():
        return Choice(f"{PACK_PREFIX}{pack}", f"this pack is in {packs_folder()}")
    folders = model_folders()
    for network in (YuNetNetwork, ScrfdNetwork):
        for file in _models_in(folders):
            with contextlib.suppress(DataError):  # a damaged file of another model does no harm
                if network.recognises(read_graph(file)):
                    return Choice(str(file), f"a {network.title} in a model folder of OpenCV or insightface; no pack")
    return Choice(BUILTIN, "no insightface pack, and no YuNet or SCRFD in the model folders of OpenCV and insightface")


def model_folders() -> list[Path]:
    """Where OpenCV and insightface keep models: insightface's folder, OpenCV's data and samples, and its models from
    the Hugging Face Hub."""
    samples = os.environ.get("OPENCV_SAMPLES_DATA_PATH", "").split(os.pathsep)
    hub = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser() / "hub"
    shared = (Path(prefix) / "share" / "opencv4" for prefix in (sys.prefix, "/usr/local", "/usr"))
    return [
        packs_folder(),
        Path(cv2.__file__).parent / "data",
        *(Path(folder) for folder in samples if folder),
        *shared,
        hub / "models--opencv--face_detection_yunet",
    ]


def _models_in(folders: list[Path]) -> Iterator[Path]:
    """The `.onnx` files of a moderate size, those of each folder from the largest: whole numbers before quantised."""
    for folder in folders:
        with contextlib.suppress(DataError):  # a folder of somebody else
            sizes = {file: file.stat().st_size for file in user_files(folder) if file.suffix == ".onnx"}
            yield from sorted((file for file, size in sizes.items() if size <= _MAX_BYTES), key=lambda f: -sizes[f])
