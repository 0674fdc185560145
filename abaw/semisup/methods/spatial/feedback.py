"""Feedback of the student on the teacher's labels: `h = CE_bal(S_before) − CE_bal(S_after)`, above 0 when they helped.

This follows Meta Pseudo Labels (arXiv 2003.10580), but weights all classes equally, to not favour frequent ones.
S_after is the student after a step on its loss on the pseudo-labels: a trial step (`Trial`), or the optimiser's own
(`RealStep`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from abaw.core.data_parallel import mean_over_processes
from abaw.semisup.losses import class_balanced_cross_entropy
from abaw.semisup.running import RunningMean


def balanced_loss(
    student: nn.Module, images: Tensor, labels: Tensor, weights: Mapping[str, Tensor] | None = None
) -> Tensor:
    """The student's class-balanced loss, a scalar without gradient; batch-norm statistics do not change.

    weights: by name, in place of the student's own.
    """
    buffers = {name: buffer.clone() for name, buffer in student.named_buffers()}
    with torch.no_grad():
        logits: Tensor = functional_call(student, {**buffers, **(weights or {})}, (images,))
        return mean_over_processes(class_balanced_cross_entropy(logits.float(), labels))


def own_label_loss(logits: Tensor) -> Tensor:
    """The mean cross-entropy with the model's own most likely classes, a scalar. logits: (U, C)."""
    return F.cross_entropy(logits, logits.detach().argmax(1))


class Trial(nn.Module):
    """h of a trial step: the student, moved by `length` against the gradient of its loss on the pseudo-labels.

    h is centred by its running mean and limited to ±`limit`; scaled: it is also divided by its running mean deviation
    (our reading).
    """

    def __init__(self, length: float, *, scaled: bool, momentum: float = 0.99, limit: float = 3.0) -> None:
        super().__init__()
        self._length, self._scaled, self._limit = length, scaled, limit
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
        h = centred / self.deviation.value.clamp_min(1e-8) if self._scaled else centred
        return h.clamp(-self._limit, self._limit)

    def raw(self, student: nn.Module, loss: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        """h before centring, a scalar."""
        weights = {name: weight for name, weight in student.named_parameters() if weight.requires_grad}
        gradients = torch.autograd.grad(loss, list(weights.values()), retain_graph=True, allow_unused=True)
        moved = _moved(weights, gradients, self._length)
        return balanced_loss(student, images, labels) - balanced_loss(student, images, labels, moved)


def _moved(weights: Mapping[str, Tensor], gradients: tuple[Tensor | None, ...], length: float) -> dict[str, Tensor]:
    """The weights, moved by `length` against the gradients; unchanged when all gradients are 0."""
    present = {name: mean_over_processes(g) for name, g in zip(weights, gradients, strict=True) if g is not None}
    norm = torch.stack([g.norm() for g in present.values()]).norm().clamp_min(1e-12)
    return {name: weights[name].detach() - length / norm * g for name, g in present.items()}


class Lesson(NamedTuple):
    """What the teacher said of a batch, and the student's balanced loss before it learned that.

    labelled: (B, C), weak, strong: (U, C), the teacher's logits with their graph; before: a scalar.
    """

    labelled: Tensor
    weak: Tensor
    strong: Tensor
    before: Tensor


class RealStep:
    """Feedback as in the public code of Meta-Face2Exp (CVPR 2022).

    The student learns hard labels of the weak views. After its step, the teacher learns with h, neither centred nor
    scaled: see `teacher_loss`. All views of the teacher go through it in one pass, in training
    mode. Unlike there, h is measured on the labelled faces alone, without changing batch-norm statistics (our reading).
    """

    def teach(
        self, student: nn.Module, teacher: nn.Module, labelled: Tensor, labels: Tensor, weak: Tensor, strong: Tensor
    ) -> Lesson:
        """What the teacher says before the student's step; `teacher_loss` needs it.

        labelled: (B, 3, S, S) with labels (B,); weak, strong: (U, 3, S, S).
        """
        logits = teacher(torch.cat([labelled, weak, strong])).float()
        known, of_weak, of_strong = torch.split(logits, [len(labelled), len(weak), len(strong)])
        return Lesson(known, of_weak, of_strong, balanced_loss(student, labelled, labels))

    def teacher_loss(
        self, student: nn.Module, lesson: Lesson, labelled: Tensor, labels: Tensor, weight: float
    ) -> tuple[Tensor, Tensor]:
        """`λ_u · CE(T(A(u)), softmax T(α(u))) + h · CE(T(A(u)), argmax T(A(u)))`, and h; after the student's step.

        weight: λ_u. Cross-entropy with soft labels trains the strong view alone.
        """
        h = lesson.before - balanced_loss(student, labelled, labels)
        consistency = F.cross_entropy(lesson.strong, lesson.weak.detach().softmax(1))
        return weight * consistency + h * own_label_loss(lesson.strong), h
