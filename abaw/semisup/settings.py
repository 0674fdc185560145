"""Settings that several methods share; those of one method alone are in its own folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from abaw.core.errors import ConfigError
from abaw.core.ranges import require_at_least, require_below_one, require_positive, require_within


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledLearning:
    """How a method learns from labelled faces. Raises ConfigError for values out of range.

    Args:
        view: how strongly labelled images are augmented
        label_smoothing: share of the target that is spread over all classes
        votes: use the shares of the annotators' votes as the target if the set has them, not only the label
        prior_power: exponent of the class shares that the predictions assume, however faces are drawn (logit
            adjustment): 1 keeps the shares of the labelled faces, 0 makes all classes equally likely; not given, the
            shares of the drawn faces
        mixup: probability that a labelled image is blended with another one
        cutmix: probability that a rectangle of a labelled image is replaced by that part of another one
    """

    view: Literal["weak", "strong"] = "strong"
    label_smoothing: float = 0.1
    votes: bool = False
    prior_power: float | None = None
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        require_below_one(self, "label_smoothing")
        require_within(0, 1, self, "mixup", "cutmix")
        if self.mixup + self.cutmix > 1:
            raise ConfigError(f"mixup {self.mixup} + cutmix {self.cutmix} > 1; an image is mixed in one way at most")
        if self.prior_power is not None:
            require_within(0, 1, self, "prior_power")


@dataclass(frozen=True, slots=True, kw_only=True)
class PseudoLabelling(LabelledLearning):
    """How a method learns from unlabelled faces as well.

    Labels are not smoothed by default: a model trained towards .9 hardly ever reaches the confidence that pseudo-labels
    need.

    Args:
        unlabelled_weight: weight of the loss on unlabelled faces; the loss on labelled faces has weight 1
        teacher: what labels the weak views: the averaged model (`train.ema_decay`) or the model itself
    """

    label_smoothing: float = 0.0
    unlabelled_weight: float = 1.0
    teacher: Literal["average", "model"] = "average"

    def __post_init__(self) -> None:
        # Without arguments, super() does not find its class in a dataclass with slots.
        super(PseudoLabelling, self).__post_init__()
        require_at_least(0, self, "unlabelled_weight")

    @property
    def needs_average(self) -> bool:
        """Whether the averaged model labels the weak views."""
        return self.teacher == "average"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginSettings:
    """Thresholds per class and stage.

    Args:
        lowest: minimum threshold
        highest: maximum threshold
        stage_steps: steps per stage; thresholds are updated after each stage
    """

    lowest: float = 0.8
    highest: float = 0.97
    stage_steps: int = 100

    def __post_init__(self) -> None:
        if not 0 <= self.lowest <= self.highest <= 1:
            raise ConfigError(f"margins from {self.lowest} to {self.highest}; expected 0 <= lowest <= highest <= 1")
        require_at_least(1, self, "stage_steps")


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginLearning(PseudoLabelling):
    """Settings of methods with a margin.

    Args:
        margin: the thresholds per class
        labelled_weight: weight of the loss on labelled faces
        contrast_weight: weight of the contrastive loss on faces below the margin; 0 turns it off
        temperature: temperature of the contrastive loss
    """

    margin: MarginSettings = MarginSettings()
    labelled_weight: float = 0.5
    contrast_weight: float = 0.1
    temperature: float = 0.07

    def __post_init__(self) -> None:
        # Without arguments, super() does not find its class in a dataclass with slots.
        super(MarginLearning, self).__post_init__()
        require_at_least(0, self, "labelled_weight", "contrast_weight")
        require_positive(self, "temperature")
