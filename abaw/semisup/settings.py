"""Settings that several methods share; what is a method's alone stands in its own file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from abaw.core.errors import ConfigError
from abaw.core.ranges import require_at_least, require_below_one, require_share


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledLearning:
    """How a method learns from labelled faces. Raises ConfigError for values out of range.

    Args:
        view: how far the labelled images are changed
        label_smoothing: part of the target that is spread over all classes
        votes: aims at the shares of the annotators' votes where a set has them, not at the label alone
        prior_power: the predictions keep the class shares of the labelled faces to this power, however these are drawn
            (logit adjustment): 1 as they are, 0 all classes alike; not given, as the drawn faces have them
    """

    view: Literal["weak", "strong"] = "strong"
    label_smoothing: float = 0.1
    votes: bool = False
    prior_power: float | None = None

    def __post_init__(self) -> None:
        require_below_one(self, "label_smoothing")
        if self.prior_power is not None:
            require_share(self, "prior_power")


@dataclass(frozen=True, slots=True, kw_only=True)
class PseudoLabelling(LabelledLearning):
    """How a method learns from unlabelled faces as well.

    Labels are not smoothed by default: a model that aims at .9 hardly reaches the confidence that pseudo-labels need.

    Args:
        unlabelled_weight: weight of the loss on unlabelled faces; the one on labelled faces has weight 1
        teacher: who labels the weak views: the averaged model (of `train.ema_decay`), or the model as it is
    """

    label_smoothing: float = 0.0
    unlabelled_weight: float = 1.0
    teacher: Literal["average", "model"] = "average"

    def __post_init__(self) -> None:
        # Without arguments, super() does not find its class in a dataclass with slots.
        super(PseudoLabelling, self).__post_init__()
        require_at_least(0, self, "unlabelled_weight")


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginSettings:
    """Thresholds per class and stage.

    Args:
        lowest: no threshold is below it
        highest: none is above it
        stage_steps: steps of a stage, after which the thresholds are renewed
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
        margin: the thresholds
        labelled_weight: weight of the loss on labelled faces
        contrast_weight: weight of the contrastive loss on faces below the margin; 0 leaves it out
        temperature: of the contrastive loss
    """

    margin: MarginSettings = MarginSettings()
    labelled_weight: float = 0.5
    contrast_weight: float = 0.1
    temperature: float = 0.07
