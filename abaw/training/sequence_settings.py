"""Settings of the temporal model's training, apart from it, so that reading a configuration loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from abaw.core.errors import ConfigError


@dataclass(frozen=True)
class SequenceLearning:
    """How a temporal model learns from windows. Raises ConfigError for values outside their range.

    Args:
        batch_size: windows a step
        sampling: frame draws every labelled frame equally often as the place of a window, class draws a class first
        balance: logit_adjustment counters the class imbalance in the loss (arXiv 2007.07314), none does not
        label_smoothing: share of the target spread over all classes
        feature_noise: standard deviation of noise on the features, in standard deviations of each feature
        time_mask: longest run of frames hidden in each window, as a share of the window
    """

    batch_size: int = 32
    sampling: Literal["frame", "class"] = "frame"
    balance: Literal["logit_adjustment", "none"] = "logit_adjustment"
    label_smoothing: float = 0.1
    feature_noise: float = 0.1
    time_mask: float = 0.1

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ConfigError(f"batch_size is {self.batch_size}; expected at least 1")
        if self.feature_noise < 0:
            raise ConfigError(f"feature_noise is {self.feature_noise}; expected at least 0")
        for name in ("label_smoothing", "time_mask"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected 0 <= {name} < 1")
