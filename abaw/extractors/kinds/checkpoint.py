"""Static checkpoints of this project: a folder that `train-static` wrote, or `builtin`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from abaw.data.views import unit
from abaw.extractors.extractor import Extractor, Head
from abaw.extractors.settings import ExtractorSettings
from abaw.models.static import image_input, load_static
from abaw.weights import resolve_checkpoint

USES: Final[frozenset[str]] = frozenset()
"""Its spec says all."""


def open_extractor(argument: str, settings: ExtractorSettings, device: torch.device, threads: int | None) -> Extractor:
    """Raises CheckpointError when the checkpoint is missing, damaged or not static."""
    model, spec = load_static(resolve_checkpoint(Path(argument), "static"))
    image = image_input(spec)

    def prepare(crops: Tensor) -> Tensor:
        return image.normalise(unit(crops))

    return Extractor(
        f"the static model {spec.weights_id}",
        image.size,
        image.crop,
        prepare,
        model.to(device).features,
        device,
        spec.feature_dim,
        spec.weights_sha256,
        head=Head(model.classify, spec.classes),
        trained_on=tuple(spec.training.get("faces", ())),
    )
