"""Settings of `ada_cm`."""

from __future__ import annotations

from dataclasses import dataclass

from abaw.semisup.settings import MarginLearning


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaCMSettings(MarginLearning):
    """Settings of `ada_cm`."""


SETTINGS = AdaCMSettings
