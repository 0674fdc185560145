"""Decoding of face crops: encoded bytes -> uint8 images at the size of a model's input."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from abaw.core.errors import DataError


def decode_crop(jpeg: bytes, size: int, name: str) -> NDArray[np.uint8]:
    """One crop, (S, S, 3) RGB. Raises DataError naming the sample when the bytes are no image."""
    image = cv2.imdecode(np.frombuffer(jpeg, dtype=np.uint8), cv2.IMREAD_COLOR) if jpeg else None
    if image is None:
        raise DataError(f"{name}: its crop is no readable image; write the store again")
    if image.shape[:2] != (size, size):
        shrinks = max(image.shape[:2]) > size
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def decode_crops(jpegs: Sequence[bytes], size: int, names: Sequence[str]) -> Tensor:
    """B crops as one batch, (B, 3, S, S) uint8 RGB."""
    images = np.empty((len(jpegs), size, size, 3), dtype=np.uint8)
    for index, (jpeg, name) in enumerate(zip(jpegs, names, strict=True)):
        images[index] = decode_crop(jpeg, size, name)
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
