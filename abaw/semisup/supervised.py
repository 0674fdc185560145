"""Labelled images only: cross-entropy on augmented views. The rival that every other method must beat."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from abaw.data.images import LabelledImages
from abaw.data.views import STRONG, WEAK
from abaw.models.static import ImageInput
from abaw.semisup.method import Method, StepResult
from abaw.semisup.settings import SupervisedSettings


class Supervised(Method[LabelledImages, LabelledImages]):
    """Cross-entropy with smoothed labels; which classes a batch holds is the sampler's affair."""

    def __init__(self, model: nn.Module, image: ImageInput, settings: SupervisedSettings) -> None:
        super().__init__()
        self.model = model
        self._image = image
        self._view = STRONG if settings.view == "strong" else WEAK
        self._label_smoothing = settings.label_smoothing

    def views(self, batch: LabelledImages, generator: torch.Generator) -> LabelledImages:
        return batch._replace(images=self._image.normalise(self._view(batch.images, generator)))

    def step(self, batch: LabelledImages) -> StepResult:
        logits = self.model(batch.images)
        loss = F.cross_entropy(logits, batch.labels, label_smoothing=self._label_smoothing)
        return StepResult(loss, {"accuracy": (logits.argmax(1) == batch.labels).float().mean()})
