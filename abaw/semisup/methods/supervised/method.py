"""Labelled images only: cross-entropy on augmented views. The rival that every other method must beat."""

from __future__ import annotations

from abaw.learning.method import StepResult
from abaw.semisup.image_method import ImageMethod, ImageViews, accuracy
from abaw.semisup.settings import LabelledLearning


class Supervised(ImageMethod[LabelledLearning]):
    """Cross-entropy with smoothed labels; which classes a batch holds is the sampler's affair."""

    takes_unlabelled = False

    def step(self, batch: ImageViews) -> StepResult:
        logits = self.model(batch.labelled)
        loss = self.labelled_loss(logits, batch.targets)
        return StepResult(loss, {"accuracy": accuracy(logits, batch.labels)})


METHOD = Supervised
