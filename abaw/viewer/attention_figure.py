"""A figure that shows which parts of a face the local attention of a static model weighs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from abaw.core.seed import numpy_generator
from abaw.data.face_set import FaceSet
from abaw.data.images import ImageReader
from abaw.models.image_input import image_input
from abaw.models.local_attention import attention_of
from abaw.models.static import StaticModel, load_static
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.viewer.face_grid import Tile, write_grid

ATTENTION = "figures/attention.png"
_SIDE_SHOWN = 112


def write_attention(path: Path, checkpoint: Path, faces: FaceSet, seed: int) -> bool:
    """Write a PNG with one row per class: a labelled face, each attention map over it, and the maximum of the maps.

    Each map is drawn from dark (its minimum) to bright (its maximum); both values are below it. A plain mean would have
    the value 1 everywhere. Returns False, without writing, when the model of the checkpoint has no attention.
    """
    model, spec = load_static(checkpoint)
    if attention_of(model) is None:
        return False
    image = image_input(spec)
    members = {int(label): np.flatnonzero(faces.labels == label) for label in np.unique(faces.labels) if label >= 0}
    chosen = np.array([numpy_generator(seed, "attention", label).choice(those) for label, those in members.items()])
    maps = _attention(model, image.normalise(ImageReader(faces, image.size, 0).read(chosen).images.float() / 255))
    pictures = ImageReader(faces, _SIDE_SHOWN, 0).read(chosen).images.permute(0, 2, 3, 1).numpy()
    rows = []
    for picture, face in zip(pictures, maps, strict=True):
        rows.append([Tile(picture), *(_tile(picture, each) for each in (*face, face.max(0)))])
    heads = ("face", *(f"map {k + 1}" for k in range(maps.shape[1])), "highest")
    write_grid(path, rows, heads=heads, sides=[EXPRESSION_CLASSES[label] for label in members])
    return True


def _attention(model: StaticModel, views: Tensor) -> NDArray[np.float32]:
    """Attention maps (B, K, H, W) of standardised images (B, 3, S, S)."""
    pool = attention_of(model)
    assert pool is not None
    seen: list[torch.Tensor] = []
    handle = pool.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        with torch.inference_mode():
            model.features(views)
            found = pool.attention(seen[0])
    finally:
        handle.remove()
    return found.float().numpy()


def _tile(picture: NDArray[np.uint8], attention: NDArray[np.float32]) -> Tile:
    low, high = float(attention.min()), float(attention.max())
    return Tile(picture, caption=f"{low:.2f} to {high:.2f}", heat=(attention - low) / max(high - low, 1e-6))
