"""Cross-entropy on augmented views of labelled images only: the baseline that every other method must beat."""

from __future__ import annotations

from abaw.learning.method import StepResult
from abaw.semisup.image_method import ImageMethod, ImageViews, accuracy
from abaw.semisup.settings import LabelledLearning


class Supervised(ImageMethod[LabelledLearning]):
    """Cross-entropy with smoothed labels; the sampler decides on the classes of a batch."""

    takes_unlabelled = False

    def step(self, batch: ImageViews) -> StepResult:
        logits = self.model(batch.labelled)
        loss = self.labelled_loss(logits, batch.targets)
        return StepResult(loss, {"accuracy": accuracy(logits, batch.labels)})


METHOD = Supervised
