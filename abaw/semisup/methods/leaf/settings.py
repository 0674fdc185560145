"""Settings of `leaf`."""

from __future__ import annotations

from dataclasses import dataclass

from abaw.core.ranges import require_within
from abaw.semisup.settings import MarginLearning, MarginSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafSettings(MarginLearning):
    """Settings of `leaf`; `experts` sets its mixtures, and `aggregation none` turns them off.

    Args:
        enough: the most probable classes that together reach this probability are the pseudo-label, at most three
        ambiguous: pseudo-labels may have several classes; otherwise they are the most probable class
        release_compat: as in the published code: one expert in the place of all, of which the gate takes one, no
            balance loss, and the margin applied to the mean loss of the batch, not to the loss of each face
    """

    prior_power: float | None = 0.5
    margin: MarginSettings = MarginSettings(lowest=0.6)
    labelled_weight: float = 1.0
    enough: float = 0.9
    ambiguous: bool = True
    release_compat: bool = False

    def __post_init__(self) -> None:
        super(LeafSettings, self).__post_init__()
        require_within(0, 1, self, "enough")


SETTINGS = LeafSettings
