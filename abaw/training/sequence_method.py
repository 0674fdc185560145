"""Training of the temporal model: cross-entropy on labelled frames of feature windows.

Shapes: B batch, T time, C class, D feature.
"""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from abaw.data.clips import WindowBatch
from abaw.models.temporal import TemporalTransformer
from abaw.protocol.classes import UNLABELLED
from abaw.semisup.method import Method, StepResult
from abaw.training.sequence_settings import SequenceLearning


class SequenceMethod(Method[WindowBatch, WindowBatch]):
    """Cross-entropy per labelled frame; with logit adjustment, on logits + log class share of the training frames.

    The adjusted loss is minimised by logits that fit equally frequent classes, which is what macro F1 asks for.
    class_counts: (C,) labelled training frames of each class.
    """

    model: TemporalTransformer
    adjustment: Tensor

    def __init__(self, model: TemporalTransformer, learning: SequenceLearning, class_counts: NDArray[Any]) -> None:
        super().__init__()
        self.model = model
        self.learning = learning
        counts = torch.as_tensor(class_counts, dtype=torch.float32)
        # One frame more of each class: a class that the training part lacks must not get log 0.
        log_shares = ((counts + 1) / (counts + 1).sum()).log()
        wanted = learning.balance == "logit_adjustment"
        self.register_buffer("adjustment", log_shares if wanted else torch.zeros_like(log_shares), persistent=False)

    def views(self, batch: WindowBatch, generator: torch.Generator) -> WindowBatch:
        """Noise on the features, and a run of frames hidden as if they showed no face; their labels still count."""
        features = batch.features.float()
        if self.learning.feature_noise:
            noise = torch.randn(features.shape, generator=generator, device=features.device)
            features = features + self.learning.feature_noise * self.model.feature_std * noise
        hidden = _hidden_runs(batch.present, self.learning.time_mask, generator)
        return batch._replace(features=features, present=batch.present & ~hidden)

    def step(self, batch: WindowBatch) -> StepResult:
        logits = self.model(batch.features, batch.present, batch.inside)
        adjusted = (logits + self.adjustment).flatten(0, 1)
        labels = batch.labels.flatten()
        loss = F.cross_entropy(adjusted, labels, ignore_index=UNLABELLED, label_smoothing=self.learning.label_smoothing)
        labelled = labels != UNLABELLED
        hits = (adjusted.argmax(-1) == labels)[labelled].float()
        return StepResult(loss, {"train/accuracy": hits.mean().detach()})


def _hidden_runs(present: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """(B, T) True in one run of frames of each window, 0 to `share` of it long, anywhere in it."""
    batch, time = present.shape
    draws = torch.rand(2, batch, 1, generator=generator, device=present.device)
    lengths = (draws[0] * (share * time + 1)).floor()
    starts = (draws[1] * (time - lengths + 1)).floor()
    places = torch.arange(time, device=present.device)
    return (places >= starts) & (places < starts + lengths)
