"""Time of the decoders of face crops: OpenCV, torchvision, and a GPU if there is one."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable

import cv2
import numpy as np
import torch
from torchvision.io import ImageReadMode, decode_jpeg

from abaw.data.crops import decode_crops
from abaw.data.face_set import FaceSet

_AT_ONCE = 512


def decoding(faces: FaceSet, size: int, device: torch.device, repeats: int) -> dict[str, float]:
    """Microseconds per image of each decoder in one thread, median of the repeats."""
    part = range(min(len(faces), _AT_ONCE))
    jpegs, names = [faces.jpeg(index) for index in part], [faces.name(index) for index in part]

    def by_torchvision() -> torch.Tensor:
        images = [
            decode_jpeg(torch.frombuffer(bytearray(jpeg), dtype=torch.uint8), ImageReadMode.RGB) for jpeg in jpegs
        ]
        return torch.stack(images)

    # torchvision warns that this function will be removed.
    warnings.filterwarnings("ignore", message=".*decoding and encoding capabilities of TorchVision")
    ways: dict[str, Callable[[], torch.Tensor]] = {"opencv": lambda: decode_crops(jpegs, size, names)}
    if cv2.imdecode(np.frombuffer(jpegs[0], np.uint8), cv2.IMREAD_COLOR).shape[:2] == (size, size):
        ways["torchvision"] = by_torchvision  # only if nothing needs resizing
    if device.type == "cuda":
        ways["gpu"] = lambda: decode_crops(jpegs, size, names, device).cpu()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats + 1):
        for name, way in ways.items():
            begun = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - begun)
    return {name: 1e6 * statistics.median(each[1:]) / len(jpegs) for name, each in seconds.items()}
