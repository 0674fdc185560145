"""How the landmark network learns, and how well it does on faces that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from abaw.detector.landmark_crops import CropBatch, collate, training_crop
from abaw.detector.landmark_network import LandmarkNetwork
from abaw.detector.photos import FacePhotos
from abaw.learning.method import Method, StepResult
from abaw.video.detecting.landmarks import POINTS, SIDE, TEMPLATE

_EYES = float(np.linalg.norm(TEMPLATE[0] - TEMPLATE[1])) / SIDE
"""Distance between the eyes, in sides of the crop."""
_SCORED_AT_ONCE = 256


class LandmarkMethod(Method[CropBatch, CropBatch]):
    """Supervised learning of the offsets. The loss is the mean distance of the landmarks, in distances between the
    eyes."""

    def __init__(self, model: LandmarkNetwork) -> None:
        super().__init__()
        self.model: LandmarkNetwork = model

    def views(self, batch: CropBatch, generator: torch.Generator) -> CropBatch:
        """Crops are augmented when they are made; nothing is drawn here."""
        return batch._replace(pictures=batch.pictures.float() / 255)

    def step(self, batch: CropBatch) -> StepResult:
        offsets = self.model(batch.pictures.to(memory_format=torch.channels_last))
        loss = _distances(offsets.float(), batch.offsets).mean()
        return StepResult(loss, {"loss/landmarks": loss})


def _distances(offsets: Tensor, wanted: Tensor) -> Tensor:
    """(B, 5) distances of the landmarks, in distances between the eyes, for offsets (B, 10)."""
    apart = (offsets - wanted).view(-1, POINTS, 2).square().sum(dim=2)
    return (apart + 1e-8).sqrt() / _EYES


def landmark_scorer(photos: FacePhotos, rng: np.random.Generator) -> Callable[[nn.Module], Mapping[str, float]]:
    """Scores on one crop per photo, made once: `error`, the mean distance of the landmarks in distances between the
    eyes; `start`, that of the guess from which the network starts; `quality`, minus the error."""
    batch = collate([training_crop(photos, row, rng) for row in range(len(photos))], photos.names)
    start = float(_distances(torch.zeros_like(batch.offsets), batch.offsets).mean())

    def score(model: nn.Module) -> Mapping[str, float]:
        device = next(model.parameters()).device
        starts = range(0, len(batch.pictures), _SCORED_AT_ONCE)
        crops = (batch.pictures[start : start + _SCORED_AT_ONCE].to(device).float() / 255 for start in starts)
        parts = [model(part).float().cpu() for part in crops]
        error = float(_distances(torch.cat(parts), batch.offsets).mean())
        return {"error": error, "start": start, "quality": -error}

    return score
