"""Settings of the temporal model's training, separate from it: reading a config must not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from abaw.core.ranges import require_at_least, require_below_one


@dataclass(frozen=True)
class SequenceLearning:
    """How a temporal model learns from windows. Raises ConfigError for values out of range.

    Args:
        batch_size: windows per step
        sampling: where windows are drawn: class first draws a class, then one of its frames; frame draws all labelled
            frames equally often
        balance: how the loss counters class imbalance: logit_adjustment (arXiv 2007.07314), class_weights (inverse
            class shares) or none
        balance_strength: power of the class shares in either balance: 1 aims at equal recall of all classes, lower
            values also favour frequent classes, as F1 does
        label_smoothing: share of the target spread over all classes
        feature_noise: standard deviation of noise on the features, in standard deviations of each feature
        time_mask: longest segment of frames masked in each window and source, as a share of the window
        modality_dropout: probability that a source is masked in a whole window; one source of a window always stays
        valence_arousal_weight: weight of the valence-arousal loss, relative to that of expression
        action_units_weight: weight of the action-unit loss, relative to that of expression
    """

    batch_size: int = 32
    sampling: Literal["frame", "class"] = "class"
    balance: Literal["logit_adjustment", "class_weights", "none"] = "none"
    balance_strength: float = 1.0
    label_smoothing: float = 0.1
    feature_noise: float = 0.1
    time_mask: float = 0.1
    modality_dropout: float = 0.1
    valence_arousal_weight: float = 1.0
    action_units_weight: float = 1.0

    def __post_init__(self) -> None:
        require_at_least(1, self, "batch_size")
        require_at_least(0, self, "balance_strength", "feature_noise", "valence_arousal_weight", "action_units_weight")
        require_below_one(self, "label_smoothing", "time_mask", "modality_dropout")
