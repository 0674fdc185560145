"""Ada-CM (arXiv 2203.12341): a margin per class from the labelled faces; faces below it learn by contrast."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from abaw.data.images import TrainImages
from abaw.data.views import WEAK
from abaw.semisup.image_method import ImageViews, Setup, TeacherMethod, accuracy
from abaw.semisup.losses import info_nce, masked_cross_entropy
from abaw.semisup.method import StepResult
from abaw.semisup.settings import MarginSettings, PseudoLabelling
from abaw.semisup.thresholds import AdaptiveMargin


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaCMSettings(PseudoLabelling):
    """Settings of `ada_cm`.

    Args:
        margin: the thresholds
        labelled_weight: weight of the loss on labelled faces
        contrast_weight: weight of the contrastive loss on faces below the margin; 0 leaves it out
        temperature: of the contrastive loss
    """

    margin: MarginSettings = MarginSettings()
    labelled_weight: float = 0.5
    contrast_weight: float = 0.1
    temperature: float = 0.07


class AdaCM(TeacherMethod[AdaCMSettings]):
    """`L = 0.5 L_x + L_u + 0.1 L_s`.

    A face whose mean prediction over two weak views reaches the margin of its class gives a pseudo-label for the strong
    view (L_u, a mean over the batch); of the others the features of the two weak views attract each other and repel
    those of other faces (L_s, SimCLR's loss).
    """

    settings_class = AdaCMSettings

    def __init__(self, setup: Setup, settings: AdaCMSettings) -> None:
        super().__init__(setup, settings)
        self.threshold = AdaptiveMargin(setup.num_classes, settings.margin)

    def views(self, batch: TrainImages, generator: torch.Generator) -> ImageViews:
        views = super().views(batch, generator)
        assert batch.unlabelled is not None
        return views._replace(again=self._image.normalise(WEAK(batch.unlabelled.images, generator)))

    def step(self, batch: ImageViews) -> StepResult:
        assert batch.weak is not None and batch.strong is not None and batch.again is not None
        probs = self._mean_prediction(batch.weak, batch.again)
        mask = self.threshold.mask(probs)
        below = (batch.weak[~mask], batch.again[~mask])
        features = self.model.features(torch.cat([batch.labelled, batch.strong, *below]))
        known, unknown = len(batch.labelled), len(batch.strong)
        weak, again = features[known + unknown :].chunk(2)
        labelled, strong = self.model.head(features[: known + unknown]).split([known, unknown])
        losses = {
            "loss/labelled": self.labelled_loss(labelled, batch.targets),
            "loss/unlabelled": masked_cross_entropy(strong, probs.argmax(1), mask),
            "loss/contrast": info_nce(weak, again, self.settings.temperature),
        }
        weights = (self.settings.labelled_weight, self.settings.unlabelled_weight, self.settings.contrast_weight)
        total = sum((w * loss for w, loss in zip(weights, losses.values(), strict=True)), torch.zeros_like(probs[0, 0]))
        self.threshold.learn_labelled(labelled.detach().softmax(1), batch.labels)
        logs = {"mask": mask.float().mean(), "threshold": self.threshold.thresholds.mean()}
        return StepResult(total, {**losses, "accuracy": accuracy(labelled, batch.labels), **logs})

    def _mean_prediction(self, weak: Tensor, again: Tensor) -> Tensor:
        """(U, C)"""
        first, second = self.teacher_logits(torch.cat([weak, again])).softmax(1).chunk(2)
        return (first + second) / 2


METHOD = AdaCM
