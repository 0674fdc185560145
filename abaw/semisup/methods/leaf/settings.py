"""Settings of `leaf`."""

from __future__ import annotations

from dataclasses import dataclass

from abaw.core.ranges import require_share
from abaw.semisup.settings import MarginLearning, MarginSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafSettings(MarginLearning):
    """Settings of `leaf`; its mixtures are set by `experts` and left out by `aggregation none`.

    Args:
        enough: the likeliest classes that together have this probability are the pseudo-label, three of them at most
        ambiguous: pseudo-labels may have several classes; without it, they are the likeliest class alone
        release_compat: as in the published code: one expert in the place of all, of which the gate takes one, no
            balance loss, and the margin applied to the mean loss of the batch in place of each face's
    """

    prior_power: float | None = 0.5
    margin: MarginSettings = MarginSettings(lowest=0.6)
    labelled_weight: float = 1.0
    enough: float = 0.9
    ambiguous: bool = True
    release_compat: bool = False

    def __post_init__(self) -> None:
        super(LeafSettings, self).__post_init__()
        require_share(self, "enough")


SETTINGS = LeafSettings
