"""What methods for the static model share: the views of a batch, the labelled loss, the teacher's predictions."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from abaw.data.images import FaceImages, TrainImages
from abaw.data.mixing import mix_images
from abaw.data.settings import Aggregation, Balance
from abaw.data.views import STRONG, WEAK
from abaw.learning.method import Method, StepResult
from abaw.models.architecture import Architecture
from abaw.models.experts import take_balance_loss
from abaw.models.image_input import ImageInput
from abaw.models.static import StaticModel
from abaw.semisup.losses import smoothed
from abaw.semisup.settings import LabelledLearning, PseudoLabelling


class ImageViews(NamedTuple):
    """Standardised views of a batch.

    labelled: (B, 3, S, S); labels: (B,), of a mixed image the one with the larger share; targets: (B, C), of the
    labelled loss. Views of U unlabelled faces, None for a method that does not use them: weak, strong: (U, 3, S, S)
    each; again: a second weak view, for methods that compare two.
    """

    labelled: Tensor
    labels: Tensor
    targets: Tensor
    weak: Tensor | None
    strong: Tensor | None
    ids: tuple[str, ...]
    again: Tensor | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """What a method is built from.

    steps: number of steps of the run; shares: (C,) class shares of the labelled faces; drawn: (C,) class shares of
    their batches; load_balance: weight of the loss that keeps the experts of a mixture equally busy.
    """

    model: StaticModel
    image: ImageInput
    steps: int
    shares: Tensor
    drawn: Tensor
    load_balance: float = 0.01

    @property
    def num_classes(self) -> int:
        """C"""
        return len(self.shares)


Settings = TypeVar("Settings", bound=LabelledLearning)


class ImageMethod(Method[TrainImages, ImageViews], Generic[Settings]):
    """A method for the static model.

    takes_unlabelled: whether it needs unlabelled faces; balance, aggregation: its defaults for drawing labelled faces
    and for what is between backbone and head; class_shares: C, which the labelled loss makes the model expect.
    """

    takes_unlabelled: ClassVar[bool] = True
    balance: ClassVar[Balance] = "natural"
    aggregation: ClassVar[Aggregation] = "none"

    model: StaticModel
    _offsets: Tensor

    def __init__(self, setup: Setup, settings: Settings) -> None:
        super().__init__()
        self.model = setup.model
        self.settings = settings
        self._image = setup.image
        self._load_balance = setup.load_balance
        self._view = STRONG if settings.view == "strong" else WEAK
        self.register_buffer("_offsets", _offsets(setup, settings.prior_power), persistent=False)
        self.class_shares = _expected_shares(setup, settings.prior_power)

    @classmethod
    def architecture(cls, base: Architecture, settings: Settings) -> Architecture:
        """The architecture of the method's model. base: the architecture of the recipe."""
        return base

    def forward(self, batch: ImageViews) -> StepResult:
        """`step`, plus the balance loss of the model's mixtures of experts, if there are any."""
        result = super().forward(batch)
        balance = take_balance_loss(self)
        if balance is None:
            return result
        loss = result.loss + self._load_balance * balance
        return StepResult(loss, {**result.logs, "loss/load_balance": balance})

    def views(self, batch: TrainImages, generator: torch.Generator) -> ImageViews:
        normalise = self._image.normalise
        labelled, unlabelled = batch.labelled, batch.unlabelled
        known, targets = self._labelled(labelled, generator)
        weak = strong = None
        if self.takes_unlabelled and unlabelled is not None:
            weak = normalise(WEAK(unlabelled.images, generator))
            strong = normalise(STRONG(unlabelled.images, generator))
        return ImageViews(
            normalise(known),
            labelled.labels,
            smoothed(targets, self.settings.label_smoothing),
            weak,
            strong,
            batch.ids,
        )

    def _labelled(self, faces: FaceImages, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Views of the labelled faces, (B, 3, S, S), and their targets, (B, C); mixed if the settings say so."""
        settings = self.settings
        targets = faces.votes if settings.votes else F.one_hot(faces.labels, faces.votes.shape[1]).float()
        images = self._view(faces.images, generator)
        if settings.mixup + settings.cutmix == 0:
            return images, targets
        return mix_images(images, targets, settings.mixup, settings.cutmix, generator)

    def labelled_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy of labelled faces, corrected for the class shares that `prior_power` asks for; a scalar.

        With classes drawn by ρ, class shares π and `prior_power` κ, `CE(f + log ρ − κ log π, y)` makes f predict as if
        classes were distributed as π^κ (cf. arXiv 2007.07314, eq. 10). logits, targets: (B, C) each.
        """
        return F.cross_entropy(logits + self._offsets, targets)


def _offsets(setup: Setup, power: float | None) -> Tensor:
    """What is added to the logits, (C,); 0 for a class without labelled faces, which must stay the least likely."""
    if power is None:
        return torch.zeros(setup.num_classes)
    present = setup.shares > 0
    offsets = setup.drawn.clamp_min(1e-12).log() - power * setup.shares.clamp_min(1e-12).log()
    return torch.where(present, offsets, 0.0).float()


def _expected_shares(setup: Setup, power: float | None) -> tuple[float, ...]:
    """The class shares for which the labelled loss makes the predictions right."""
    shares = setup.drawn if power is None else torch.where(setup.shares > 0, setup.shares**power, 0)
    return tuple((shares / shares.sum()).tolist())


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """The share of correct predictions, a scalar. logits: (B, C); labels: (B,)."""
    return (logits.argmax(1) == labels).float().mean()


Pseudo = TypeVar("Pseudo", bound=PseudoLabelling)


class TeacherMethod(ImageMethod[Pseudo]):
    """A method with a teacher, which predicts weak views of unlabelled faces without gradients."""

    @torch.no_grad()
    def teacher_logits(self, images: Tensor) -> Tensor:
        """The teacher's logits, (U, C); the teacher is in eval mode if it is the average. images: (U, 3, S, S)."""
        teacher = self.average if self.settings.teacher == "average" else self.model
        logits: Tensor = teacher(images)
        return logits.float()


class PseudoLabelMethod(TeacherMethod[Pseudo]):
    """A method that trains on strong views of unlabelled faces with the teacher's labels of the weak views.

    Labelled and strong views go through the model in one pass.
    """

    def step(self, batch: ImageViews) -> StepResult:
        assert batch.weak is not None and batch.strong is not None
        logits = self.model(torch.cat([batch.labelled, batch.strong]))
        labelled, strong = logits.split([len(batch.labelled), len(batch.strong)])
        labelled_loss = self.labelled_loss(labelled, batch.targets)
        loss, logs = self.unlabelled_loss(strong, self.teacher_logits(batch.weak))
        logs |= {"loss/labelled": labelled_loss, "loss/unlabelled": loss, "accuracy": accuracy(labelled, batch.labels)}
        return StepResult(labelled_loss + self.settings.unlabelled_weight * loss, logs)

    @abstractmethod
    def unlabelled_loss(self, strong: Tensor, weak: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of the unlabelled faces, and what to log.

        strong: the model's logits of the strong views, (U, C); weak: the teacher's of the weak views, (U, C).
        """
