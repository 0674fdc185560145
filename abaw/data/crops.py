"""Decoding of face crops to tensors: on a CPU as in abaw.data.decoding, on a GPU whole batches by torchvision (nvJPEG).

`benchmarks/train_throughput.py` measures both.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from abaw.data.decoding import decode_arrays

_JPEG_START = b"\xff\xd8"


def decode_crops(jpegs: Sequence[bytes], size: int, names: Sequence[str], device: torch.device | str = "cpu") -> Tensor:
    """B crops as one batch on the device, (B, 3, S, S) uint8 RGB. Raises DataError as `decode_crop` does.

    JPEGs are decoded on a GPU, with pixels a few grey levels off those of the CPU; other formats on the CPU.
    """
    target = torch.device(device)
    if target.type == "cpu":
        return torch.from_numpy(decode_arrays(jpegs, size, names))
    batch = torch.empty((len(jpegs), 3, size, size), dtype=torch.uint8, device=target)
    for is_jpeg in (True, False):
        part = [index for index, jpeg in enumerate(jpegs) if jpeg.startswith(_JPEG_START) == is_jpeg]
        if part:
            chosen = [jpegs[index] for index in part], size, [names[index] for index in part]
            images = (
                _decode_together(*chosen, target) if is_jpeg else torch.from_numpy(decode_arrays(*chosen)).to(target)
            )
            batch[torch.tensor(part, device=target)] = images
    return batch


def _decode_together(jpegs: Sequence[bytes], size: int, names: Sequence[str], device: torch.device) -> Tensor:
    """Decode JPEGs on the device, with torchvision."""
    from torchvision.io import ImageReadMode, decode_jpeg  # imported late: the CPU path must work when it is removed

    encoded = [torch.frombuffer(bytearray(jpeg), dtype=torch.uint8) for jpeg in jpegs]
    try:
        images = decode_jpeg(encoded, mode=ImageReadMode.RGB, device=device)
    except RuntimeError:
        decode_arrays(jpegs, size, names)  # raises with the name of a damaged crop, if that is the reason
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
