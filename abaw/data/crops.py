"""Decoding of face crops: encoded bytes -> uint8 images at a model's input size.

On a CPU, OpenCV decodes: its pixels equal those of torchvision's decoder, it takes about as long, and it releases the
interpreter lock; torchvision plans to remove its decoders. On a GPU, torchvision (nvJPEG) decodes whole batches.
`benchmarks/train_throughput.py` measures both.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from abaw.core.errors import DataError

_JPEG_START = b"\xff\xd8"


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


def decode_crops(jpegs: Sequence[bytes], size: int, names: Sequence[str], device: torch.device | str = "cpu") -> Tensor:
    """B crops as one batch on the device, (B, 3, S, S) uint8 RGB. Raises DataError as `decode_crop` does.

    JPEGs are decoded on a GPU, with pixels a few grey levels off those of the CPU; other formats on the CPU.
    """
    target = torch.device(device)
    if target.type == "cpu":
        return _decode_one_by_one(jpegs, size, names)
    batch = torch.empty((len(jpegs), 3, size, size), dtype=torch.uint8, device=target)
    for is_jpeg in (True, False):
        part = [index for index, jpeg in enumerate(jpegs) if jpeg.startswith(_JPEG_START) == is_jpeg]
        if part:
            chosen = [jpegs[index] for index in part], size, [names[index] for index in part]
            images = _decode_together(*chosen, target) if is_jpeg else _decode_one_by_one(*chosen).to(target)
            batch[torch.tensor(part, device=target)] = images
    return batch


def _decode_one_by_one(jpegs: Sequence[bytes], size: int, names: Sequence[str]) -> Tensor:
    images = np.empty((len(jpegs), size, size, 3), dtype=np.uint8)
    for index, (jpeg, name) in enumerate(zip(jpegs, names, strict=True)):
        images[index] = decode_crop(jpeg, size, name)
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()


def _decode_together(jpegs: Sequence[bytes], size: int, names: Sequence[str], device: torch.device) -> Tensor:
    """Decode JPEGs on the device, with torchvision."""
    from torchvision.io import ImageReadMode, decode_jpeg  # imported late: the CPU path must work when it is removed

    encoded = [torch.frombuffer(bytearray(jpeg), dtype=torch.uint8) for jpeg in jpegs]
    try:
        images = decode_jpeg(encoded, mode=ImageReadMode.RGB, device=device)
    except RuntimeError:
        _decode_one_by_one(jpegs, size, names)  # raises with the name of a damaged crop, if that is the reason
        raise
    return _at_size(images, size)


def _at_size(images: Sequence[Tensor], size: int) -> Tensor:
    """Images of any shapes, (3, H, W) uint8 each -> (B, 3, S, S) uint8; images of equal shape are resized together."""
    batch = torch.empty((len(images), 3, size, size), dtype=torch.uint8, device=images[0].device)
    for shape in {image.shape for image in images}:
        part = [index for index, image in enumerate(images) if image.shape == shape]
        same = torch.stack([images[index] for index in part])
        if shape[1:] != (size, size):
            resized = F.interpolate(same.float(), (size, size), mode="bilinear", antialias=True)
            same = resized.round().clamp(0, 255).to(torch.uint8)
        batch[torch.tensor(part, device=batch.device)] = same
    return batch
