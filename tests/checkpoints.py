"""Tiny checkpoints for tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from abaw.models.architecture import Architecture
from abaw.models.image_input import ImageInput
from abaw.models.sizes import TransformerSize
from abaw.models.static import build_static, save_static
from abaw.models.temporal import build_temporal, temporal_spec
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.stores.checkpoints import save_checkpoint
from abaw.stores.crop import Crop
from abaw.stores.sources import Source


def static_checkpoint(folder: Path, seed: int = 0, crop: Crop | None = None) -> Path:
    """A small network on images of 32 pixels. crop: the kind that it expects."""
    architecture, image = Architecture(backbone="small"), ImageInput(32, crop=crop)
    save_static(folder, build_static(architecture, 8, 32, seed=seed), architecture, EXPRESSION_CLASSES, image, {})
    return folder


def temporal_checkpoint(
    folder: Path, num_features: int, backbone: str, window: int, hop: int, seed: int = 0, **changes: object
) -> Path:
    """A transformer of one layer. changes: of its spec, also such that no model can be built from it."""
    spec = temporal_spec(
        TransformerSize(layers=1, heads=2, width=16),
        window=window,
        hop=hop,
        sources=(Source("features", backbone, num_features),),
        classes=EXPRESSION_CLASSES,
        training={},
    )
    spec = replace(spec, **changes)  # type: ignore[arg-type]
    buildable = replace(spec, input={**spec.input, "hop": hop})
    save_checkpoint(folder, spec, build_temporal(buildable, seed=seed).state_dict())
    return folder
