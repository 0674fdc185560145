"""Decoding of face crops on a CPU: encoded bytes -> uint8 images at a model's input size, without torch.

OpenCV decodes: its pixels equal those of torchvision's decoder, it takes about as long, and it releases the interpreter
lock; torchvision plans to remove its decoders.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError


def decode_crop(jpeg: bytes, size: int, name: str) -> NDArray[np.uint8]:
    """One crop, (S, S, 3) RGB. Raises DataError that names the sample when the bytes are not an image."""
    image = cv2.imdecode(np.frombuffer(jpeg, dtype=np.uint8), cv2.IMREAD_COLOR) if jpeg else None
    if image is None:
        raise DataError(f"{name}: its crop is not a readable image; write the store again")
    return cv2.cvtColor(at_size(image.astype(np.uint8, copy=False), size), cv2.COLOR_BGR2RGB).astype(
        np.uint8, copy=False
    )


def at_size(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """An image (H, W, 3) as (S, S, 3)."""
    if image.shape[:2] == (size, size):
        return image
    shrinks = max(image.shape[:2]) > size
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, (size, size), interpolation=method).astype(np.uint8, copy=False)


def decode_arrays(jpegs: Sequence[bytes], size: int, names: Sequence[str]) -> NDArray[np.uint8]:
    """B crops as one batch, (B, 3, S, S) uint8 RGB. Raises DataError as `decode_crop` does."""
    images = np.empty((len(jpegs), size, size, 3), dtype=np.uint8)
    for index, (jpeg, name) in enumerate(zip(jpegs, names, strict=True)):
        images[index] = decode_crop(jpeg, size, name)
    return channels_first(images)


def channels_first(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images (B, S, S, 3) as (B, 3, S, S)."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))
