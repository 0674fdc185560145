"""Training of the temporal model: the losses of its tasks on labelled frames of feature windows.

Shapes: B batch, T time, S source, C class, D feature.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from abaw.core.data_parallel import drawn_for_all, weight_of_part
from abaw.data.window_batches import WindowBatch
from abaw.learning.method import Method, StepResult
from abaw.models.tasks import split_outputs
from abaw.models.temporal import TemporalTransformer
from abaw.protocol.classes import UNLABELLED
from abaw.training.sequence_losses import action_unit_loss, ccc_loss, class_weights, positive_weights
from abaw.training.sequence_settings import SequenceLearning


class SequenceMethod(Method[WindowBatch, WindowBatch]):
    """Cross-entropy per frame labelled with an expression, plus the losses of the model's other tasks.

    With logit adjustment (arXiv 2007.07314) the cross-entropy is on logits + strength x log class share. At strength 1
    (`balance_strength`; tau in the paper) its minimum is at logits for equally frequent classes, which favours macro
    F1. Other tasks add 1 - CCC of valence and arousal, and weighted binary cross-entropy of the action units. A frame
    counts for the tasks for which it is annotated.

    class_counts: (C,) labelled training frames per class; action_unit_counts: (12, 2) frames with each action unit off
    and on.
    """

    model: TemporalTransformer
    adjustment: Tensor
    class_weights: Tensor
    positive_weights: Tensor

    def __init__(
        self,
        model: TemporalTransformer,
        learning: SequenceLearning,
        class_counts: NDArray[np.int64],
        tasks: tuple[str, ...] = ("expression",),
        action_unit_counts: NDArray[np.int64] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.learning = learning
        self.tasks = tasks
        counts = torch.as_tensor(class_counts, dtype=torch.float32)
        # A class without frames is not adjusted: log 0, or any low number, would let its logit rise freely.
        log_shares = torch.where(counts > 0, counts.clamp_min(1) / counts.sum(), 1).log()
        adjusted = learning.balance == "logit_adjustment"
        units = positive_weights(action_unit_counts) if action_unit_counts is not None else torch.ones(0)
        self.register_buffer(
            "adjustment",
            learning.balance_strength * log_shares if adjusted else torch.zeros_like(counts),
            persistent=False,
        )
        self.register_buffer("class_weights", class_weights(class_counts, learning.balance_strength), persistent=False)
        self.register_buffer("positive_weights", units, persistent=False)

    def views(self, batch: WindowBatch, generator: torch.Generator) -> WindowBatch:
        """Add noise to the features; mask a segment of frames of each source, and whole sources. Labels still count."""
        features = batch.features.float()
        if self.learning.feature_noise:
            shape, device = features.shape[1:], features.device
            noise = drawn_for_all(
                lambda size: torch.randn(size, *shape, generator=generator, device=device), len(features)
            )
            features = features + self.learning.feature_noise * self.model.feature_std * noise
        masked = _masked_segments(batch.present, self.learning.time_mask, generator)
        present = batch.present & ~masked
        if self.learning.modality_dropout and present.shape[-1] > 1:
            present = present & ~_dropped_sources(present, self.learning.modality_dropout, generator)[:, None]
        return batch._replace(features=features, present=present)

    def step(self, batch: WindowBatch) -> StepResult:
        outputs = self.model(batch.features, batch.present, batch.inside).flatten(0, 1)
        parts = split_outputs(outputs, self.tasks)
        loss, logs = outputs.sum() * 0, dict[str, Tensor]()
        if "expression" in parts:
            loss, logs = self._expression(parts["expression"], batch.labels.flatten())
        if batch.valence_arousal is not None:
            va_loss = ccc_loss(parts["valence_arousal"].tanh(), batch.valence_arousal.flatten(0, 1))
            loss = loss + self.learning.valence_arousal_weight * va_loss
            logs["loss/valence_arousal"] = va_loss.detach()
        if batch.action_units is not None:
            units = batch.action_units.flatten(0, 1)
            unit_loss = action_unit_loss(parts["action_units"], units, self.positive_weights)
            loss = loss + self.learning.action_units_weight * unit_loss
            logs["loss/action_units"] = unit_loss.detach()
        return StepResult(loss, logs)

    def _expression(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The expression loss, 0 in a batch without expression labels. logits: (N, C); labels: (N,)."""
        labelled = labels != UNLABELLED
        weights = self.class_weights if self.learning.balance == "class_weights" else None
        amount = labelled.sum() if weights is None else weights[labels[labelled]].sum()
        share = weight_of_part(amount)
        if not bool(labelled.any()):
            return logits.sum() * 0, {}
        adjusted = logits + self.adjustment
        loss = F.cross_entropy(
            adjusted,
            labels,
            weight=weights,
            ignore_index=UNLABELLED,
            label_smoothing=self.learning.label_smoothing,
        )
        hits = (adjusted.argmax(-1) == labels)[labelled].float()
        return share * loss, {"train/accuracy": hits.mean().detach()}


def _masked_segments(present: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """True in one random segment of each window and source, up to `share` of its length, (B, T, S).

    present: (B, T, S).
    """
    batch, time, num_sources = present.shape
    draws = drawn_for_all(
        lambda size: torch.rand(2, size, 1, num_sources, generator=generator, device=present.device), batch, dim=1
    )
    lengths = (draws[0] * (share * time + 1)).floor()
    starts = (draws[1] * (time - lengths + 1)).floor()
    positions = torch.arange(time, device=present.device)[:, None]
    return (positions >= starts) & (positions < starts + lengths)


def _dropped_sources(present: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """True for sources that are masked in a whole window, (B, S): each with this probability, but never all that the
    window has. present: (B, T, S)."""
    batch, _, num_sources = present.shape
    draws = drawn_for_all(lambda size: torch.rand(size, num_sources, generator=generator, device=present.device), batch)
    # The source with the highest draw stays: if all were to be dropped, it is any of them.
    kept = draws.masked_fill(~present.any(dim=1), -1).argmax(dim=1)
    return (draws < probability) & ~F.one_hot(kept, num_sources).bool()
