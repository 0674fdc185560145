"""The static model of arXiv 2403.11942: class-uniform sampling, dynamic thresholds, debiased labels and feedback.

A teacher, trained on the labelled faces, gives pseudo-labels to unlabelled ones. The student learns from both. The
effect of the pseudo-labels on the student, measured on labelled faces with all classes weighted equally, is fed back to
the teacher. At the end the student is fine-tuned on class-uniform labelled faces. The parts and their aims are from the
paper, the formulas are our reading; each part has a switch. Two defaults are ours, because without them rare classes
are predicted far too often: `prior_power`, and drawing classes by the square root of their counts (`balance`; uniformly
in the paper).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from abaw.learning.method import StepResult
from abaw.semisup.image_method import ImageViews, Setup, TeacherMethod, accuracy
from abaw.semisup.losses import class_balanced_cross_entropy, masked_cross_entropy, selective_negative_loss
from abaw.semisup.methods.spatial.settings import SpatialSettings
from abaw.semisup.running import ClassMarginal, RunningMean
from abaw.semisup.thresholds import AdaptiveMargin, FixedThreshold, SelfAdaptive, Threshold


class Spatial(TeacherMethod[SpatialSettings]):
    """`L = CE(S(A(x)), y) + λ_u · mean over u of 1[max p̃ >= T_ŷ] · CE(S(A(u)), ŷ)`, p̃ = softmax(T(α(u)) − λ log q̂).

    With feedback, the teacher T also learns `CE(T(A(x)), y) + (λ_u + h) · masked CE(T(A(u)), ŷ)`; see `Feedback`.
    """

    balance = "sqrt"

    done: Tensor

    def __init__(self, setup: Setup, settings: SpatialSettings) -> None:
        super().__init__(setup, settings)
        self.threshold = _threshold(setup.num_classes, settings)
        self.marginal = ClassMarginal(setup.num_classes, settings.momentum)
        self.register_buffer("done", torch.zeros((), dtype=torch.long))
        self._finetune_from = setup.steps - round(settings.finetune * setup.steps)
        self.tutor = copy.deepcopy(setup.model) if settings.feedback else None
        self.feedback = Feedback(settings.feedback_step) if settings.feedback else None

    def step(self, batch: ImageViews) -> StepResult:
        if int(self.done) >= self._finetune_from:
            return self._finetune(batch)
        assert batch.weak is not None and batch.strong is not None
        probs, mask, logs = self._pseudo_labels(self.teacher_logits(batch.weak))
        pseudo = probs.argmax(1)
        logits = self.model(torch.cat([batch.labelled, batch.strong]))
        labelled, strong = logits.split([len(batch.labelled), len(batch.strong)])
        labelled_loss = self.labelled_loss(labelled, batch.targets)
        unlabelled_loss = masked_cross_entropy(strong, pseudo, mask)
        if self.settings.negative_weight:
            negative = selective_negative_loss(strong, probs, ~mask, self.settings.unlikely)
            unlabelled_loss = unlabelled_loss + self.settings.negative_weight * negative
            logs["loss/negative"] = negative
        self.threshold.learn_labelled(labelled.detach().softmax(1), batch.labels)
        loss = labelled_loss + self.settings.unlabelled_weight * unlabelled_loss
        if self.tutor is not None and self.feedback is not None:
            h = self.feedback(self.model, unlabelled_loss, batch.labelled, batch.labels)
            loss = loss + self._tutor_loss(batch, pseudo, mask, h)
            logs["feedback"] = h
        logs |= {"loss/labelled": labelled_loss, "loss/unlabelled": unlabelled_loss}
        return StepResult(loss, {**logs, "accuracy": accuracy(labelled, batch.labels)})

    def teacher_logits(self, images: Tensor) -> Tensor:
        if self.tutor is None:
            return super().teacher_logits(images)
        with torch.no_grad():
            logits: Tensor = self.tutor(images)
            return logits.float()

    def update(self, batch: ImageViews) -> None:
        self.done += 1

    def _pseudo_labels(self, weak: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Debiased probabilities (U, C), a mask (U,) of those used as labels, and what to log.

        weak: the teacher's logits (U, C).
        """
        probs = weak.softmax(1)
        debiased = (weak - self.settings.debias * self.marginal.log).softmax(1)
        self.marginal.update(probs)
        self.threshold.learn_unlabelled(debiased)
        mask = self.threshold.mask(debiased)
        logs = {
            "mask": mask.float().mean(),
            "threshold": self.threshold.values().mean(),
            "marginal/lowest": self.marginal.value.min(),
        }
        return debiased, mask, logs

    def _finetune(self, batch: ImageViews) -> StepResult:
        logits = self.model(batch.labelled)
        loss = self.labelled_loss(logits, batch.targets)
        total = loss
        if self.tutor is not None:
            # In data-parallel runs every weight needs a gradient in every step.
            total = loss + self.labelled_loss(self.tutor(batch.labelled), batch.targets)
        return StepResult(total, {"loss/labelled": loss, "accuracy": accuracy(logits, batch.labels)})

    def _tutor_loss(self, batch: ImageViews, pseudo: Tensor, mask: Tensor, h: Tensor) -> Tensor:
        assert self.tutor is not None and batch.strong is not None
        logits = self.tutor(torch.cat([batch.labelled, batch.strong]))
        labelled, strong = logits.split([len(batch.labelled), len(batch.strong)])
        weight = self.settings.unlabelled_weight + h
        return self.labelled_loss(labelled, batch.targets) + weight * masked_cross_entropy(strong, pseudo, mask)


class Feedback(nn.Module):
    """The effect of a step on the pseudo-labels: `h = CE_bal(S_before) − CE_bal(S_after)`, above 0 when it helps.

    This follows Meta Pseudo Labels (arXiv 2003.10580), but weights all classes equally, to not favour frequent ones.
    S_after is a trial: the student, moved by `length` against the gradient of its loss on the pseudo-labels. h is
    centred by its running mean, divided by its running mean deviation, and limited to ±`limit` (our reading).
    """

    def __init__(self, length: float, momentum: float = 0.99, limit: float = 3.0) -> None:
        super().__init__()
        self._length, self._limit = length, limit
        self.mean = RunningMean(torch.zeros(()), momentum)
        self.deviation = RunningMean(torch.zeros(()), momentum)

    def forward(self, student: nn.Module, loss: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        """h, a scalar without gradient.

        loss: the student's loss on the pseudo-labels; its graph is kept; images, labels: the labelled faces.
        """
        raw = self.raw(student, loss, images, labels)
        centred = raw - self.mean.value
        self.mean.update(raw)
        self.deviation.update(centred.abs())
        return (centred / self.deviation.value.clamp_min(1e-8)).clamp(-self._limit, self._limit)

    def raw(self, student: nn.Module, loss: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        """h before centring, a scalar."""
        weights = {name: weight for name, weight in student.named_parameters() if weight.requires_grad}
        gradients = torch.autograd.grad(loss, list(weights.values()), retain_graph=True, allow_unused=True)
        moved = _moved(weights, gradients, self._length)
        with torch.no_grad():
            before, after = (self._loss(student, changed, images, labels) for changed in ({}, moved))
        return before - after

    @staticmethod
    def _loss(student: nn.Module, weights: Mapping[str, Tensor], images: Tensor, labels: Tensor) -> Tensor:
        """The class-balanced loss with other weights; batch-norm statistics do not change."""
        buffers = {name: buffer.clone() for name, buffer in student.named_buffers()}
        logits = functional_call(student, {**buffers, **weights}, (images,))
        return class_balanced_cross_entropy(logits.float(), labels)


def _moved(weights: Mapping[str, Tensor], gradients: tuple[Tensor | None, ...], length: float) -> dict[str, Tensor]:
    """The weights, moved by `length` against the gradients; unchanged when all gradients are 0."""
    present = {name: g for name, g in zip(weights, gradients, strict=True) if g is not None}
    norm = torch.stack([g.norm() for g in present.values()]).norm().clamp_min(1e-12)
    return {name: weights[name].detach() - length / norm * g for name, g in present.items()}


def _threshold(num_classes: int, settings: SpatialSettings) -> Threshold:
    match settings.threshold:
        case "margin":
            return AdaptiveMargin(num_classes, settings.margin)
        case "self_adaptive":
            return SelfAdaptive(num_classes, settings.momentum)
        case "fixed":
            return FixedThreshold(num_classes, settings.fixed_threshold)


METHOD = Spatial
