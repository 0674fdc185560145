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

import torch
from torch import Tensor

from abaw.learning.method import StepResult
from abaw.semisup.image_method import ImageViews, Setup, TeacherMethod, accuracy
from abaw.semisup.losses import masked_cross_entropy, selective_negative_loss
from abaw.semisup.methods.spatial.feedback import Lesson, RealStep, Trial, own_label_loss
from abaw.semisup.methods.spatial.settings import SpatialSettings
from abaw.semisup.running import ClassMarginal
from abaw.semisup.thresholds import AdaptiveMargin, FixedThreshold, SelfAdaptive, Threshold


class Spatial(TeacherMethod[SpatialSettings]):
    """`L = CE(S(A(x)), y) + λ_u · mean over u of 1[max p̃ >= T_ŷ] · CE(S(A(u)), ŷ)`, p̃ = softmax(T(α(u)) − λ log q̂).

    With feedback, the teacher T also learns from the effect h of its labels on the student: `CE(T(A(x)), y)` plus
    - scaled: `(λ_u + h) · masked CE(T(A(u)), ŷ)`;
    - centred: `λ_u · masked CE(T(A(u)), ŷ) + h · CE(T(A(u)), argmax T(A(u)))`, with h in its own unit;
    - face2exp: see `RealStep`; the student then learns the pseudo-labels alone, until the final fine-tuning.
    """

    balance = "sqrt"

    done: Tensor

    def __init__(self, setup: Setup, settings: SpatialSettings) -> None:
        super().__init__(setup, settings)
        self.threshold = _threshold(setup.num_classes, settings)
        self.marginal = ClassMarginal(setup.num_classes, settings.momentum)
        self.register_buffer("done", torch.zeros((), dtype=torch.long))
        self._finetune_from = setup.steps - round(settings.finetune * setup.steps)
        self._form = "scaled" if settings.feedback is True else settings.feedback
        self.tutor = copy.deepcopy(setup.model) if self._form else None
        trial = self._form in ("scaled", "centred")
        self.feedback = Trial(settings.feedback_step, scaled=self._form == "scaled") if trial else None
        self.has_follow_up = self._form == "face2exp"
        self._real_step = RealStep()
        self._lesson: Lesson | None = None

    def step(self, batch: ImageViews) -> StepResult:
        if int(self.done) >= self._finetune_from:
            return self._finetune(batch)
        if self._form == "face2exp":
            return self._pupil_step(batch)
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

    def _pupil_step(self, batch: ImageViews) -> StepResult:
        """The student's step on the pseudo-labels; the teacher's follows it."""
        assert self.tutor is not None and batch.weak is not None and batch.strong is not None
        views = (batch.labelled, batch.labels, batch.weak, batch.strong)
        lesson = self._lesson = self._real_step.teach(self.model, self.tutor, *views)
        probs, mask, logs = self._pseudo_labels(lesson.weak.detach())
        self.threshold.learn_labelled(lesson.labelled.detach().softmax(1), batch.labels)
        loss = masked_cross_entropy(self.model(batch.strong), probs.argmax(1), mask)
        return StepResult(loss, {**logs, "loss/unlabelled": loss})

    def follow_up(self, batch: ImageViews) -> StepResult | None:
        """The teacher's step of face2exp."""
        lesson, self._lesson = self._lesson, None
        if lesson is None:
            return None
        labelled = self.labelled_loss(lesson.labelled, batch.targets)
        effect = (self.model, lesson, batch.labelled, batch.labels, self.settings.unlabelled_weight)
        unlabelled, h = self._real_step.teacher_loss(*effect)
        logs = {"feedback": h, "loss/teacher": labelled + unlabelled, "loss/labelled": labelled}
        return StepResult(labelled + unlabelled, {**logs, "accuracy": accuracy(lesson.labelled, batch.labels)})

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
        own = self.labelled_loss(labelled, batch.targets)
        consistency = masked_cross_entropy(strong, pseudo, mask)
        if self._form == "scaled":
            return own + (self.settings.unlabelled_weight + h) * consistency
        return own + self.settings.unlabelled_weight * consistency + h * own_label_loss(strong)


def _threshold(num_classes: int, settings: SpatialSettings) -> Threshold:
    match settings.threshold:
        case "margin":
            return AdaptiveMargin(num_classes, settings.margin)
        case "self_adaptive":
            return SelfAdaptive(num_classes, settings.momentum)
        case "fixed":
            return FixedThreshold(num_classes, settings.fixed_threshold)


METHOD = Spatial
