"""A figure of what the random warps of a recipe do to some faces: they must read as other expressions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from abaw.core.seed import derive_seed, numpy_generator
from abaw.data.face_set import FaceSet
from abaw.data.images import ImageReader
from abaw.pretrain.local_warp import warp_at_random
from abaw.pretrain.settings import WarpSettings
from abaw.viewer.face_grid import Tile, write_grid

_FACES_SHOWN, _WARPS_SHOWN, _SIDE_SHOWN = 8, 7, 112


def write_warps(path: Path, faces: FaceSet, settings: WarpSettings, seed: int) -> None:
    """Write a PNG with one row per face: the face, and several warps of it."""
    count = min(_FACES_SHOWN, len(faces))
    chosen = numpy_generator(seed, "warps shown").choice(len(faces), count, replace=False)
    images = ImageReader(faces, _SIDE_SHOWN, cache_mb=0).read(chosen).images.float()
    generator = torch.Generator().manual_seed(derive_seed(seed, "warps shown"))
    versions = [images, *(warp_at_random(images, settings, generator) for _ in range(_WARPS_SHOWN))]
    pictures = [each.round().to(torch.uint8).permute(0, 2, 3, 1).numpy() for each in versions]
    rows = [[Tile(np.ascontiguousarray(version[face])) for version in pictures] for face in range(count)]
    write_grid(path, rows, heads=("unchanged", *(f"warp {k + 1}" for k in range(_WARPS_SHOWN))))
