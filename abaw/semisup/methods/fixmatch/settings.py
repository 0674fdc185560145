"""Settings of `fixmatch`."""

from __future__ import annotations

from dataclasses import dataclass

from abaw.core.ranges import require_within
from abaw.semisup.settings import PseudoLabelling


@dataclass(frozen=True, slots=True, kw_only=True)
class FixMatchSettings(PseudoLabelling):
    """Settings of `fixmatch`.

    Args:
        threshold: minimum confidence of a pseudo-label
    """

    threshold: float = 0.95

    def __post_init__(self) -> None:
        super(FixMatchSettings, self).__post_init__()
        require_within(0, 1, self, "threshold")


SETTINGS = FixMatchSettings
