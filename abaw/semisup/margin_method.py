"""What Ada-CM (arXiv 2203.12341) and LEAF share: a margin per class, and a contrastive loss below it."""

from __future__ import annotations

from abc import abstractmethod
from typing import TypeVar

import torch
from torch import Tensor

from abaw.data.images import TrainImages
from abaw.data.views import WEAK
from abaw.learning.method import StepResult
from abaw.semisup.image_method import ImageViews, Setup, TeacherMethod, accuracy
from abaw.semisup.losses import info_nce
from abaw.semisup.settings import MarginLearning
from abaw.semisup.thresholds import AdaptiveMargin

Margin = TypeVar("Margin", bound=MarginLearning)


class MarginMethod(TeacherMethod[Margin]):
    """`L = λ_x L_x + L_u + 0.1 L_s`, λ_x = .5 in the papers.

    If a face's prediction from two weak views reaches the margin of its class, it is the pseudo-label of the strong
    view (L_u). For the other faces, the features of the two weak views attract each other and repel those of other
    faces (L_s, SimCLR's loss).
    """

    def __init__(self, setup: Setup, settings: Margin) -> None:
        super().__init__(setup, settings)
        self.threshold = AdaptiveMargin(setup.num_classes, settings.margin)

    def views(self, batch: TrainImages, generator: torch.Generator) -> ImageViews:
        views = super().views(batch, generator)
        assert batch.unlabelled is not None
        return views._replace(again=self._image.normalise(WEAK(batch.unlabelled.images, generator)))

    def step(self, batch: ImageViews) -> StepResult:
        assert batch.weak is not None and batch.strong is not None and batch.again is not None
        first, second = self.teacher_logits(torch.cat([batch.weak, batch.again])).chunk(2)
        probs = self.prediction(first, second)
        mask = self.threshold.mask(probs)
        below = (batch.weak[~mask], batch.again[~mask])
        features = self.model.features(torch.cat([batch.labelled, batch.strong, *below]))
        known, unknown = len(batch.labelled), len(batch.strong)
        weak, again = features[known + unknown :].chunk(2)
        logits = self.model.classify(features[: known + unknown])
        labelled, strong = logits[:known], logits[known:]
        losses = {
            "loss/labelled": self.labelled_loss(labelled, batch.targets),
            "loss/unlabelled": self.unlabelled_loss(strong, probs, mask),
            "loss/contrast": info_nce(weak, again, self.settings.temperature),
        }
        weights = (self.settings.labelled_weight, self.settings.unlabelled_weight, self.settings.contrast_weight)
        total = sum((w * loss for w, loss in zip(weights, losses.values(), strict=True)), torch.zeros_like(probs[0, 0]))
        self.threshold.learn_labelled(labelled.detach().softmax(1), batch.labels)
        logs = {"mask": mask.float().mean(), "threshold": self.threshold.thresholds.mean()}
        return StepResult(total, {**losses, "accuracy": accuracy(labelled, batch.labels), **logs})

    @abstractmethod
    def prediction(self, first: Tensor, second: Tensor) -> Tensor:
        """Probabilities (U, C) from the teacher's logits of two weak views, (U, C) each."""

    @abstractmethod
    def unlabelled_loss(self, strong: Tensor, probs: Tensor, mask: Tensor) -> Tensor:
        """L_u, a scalar.

        strong: the model's logits (U, C); probs: the prediction (U, C); mask: (U,) True where it reaches the margin.
        """
