"""Where each stage of the demo writes its result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

STATIC: Final = "static"
TEMPORAL: Final = "temporal"
TEMPORAL_SOUND: Final = "temporal_sound"
"""The models, by the names of their predictions."""


@dataclass(frozen=True, slots=True)
class Places:
    """Folders and files in the folder of a demo."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def faces(self) -> Path:
        return self.root / "faces"

    @property
    def stills(self) -> Path:
        return self.root / "stills"

    @property
    def static_run(self) -> Path:
        return self.root / "static"

    @property
    def features(self) -> Path:
        return self.root / "features"

    @property
    def sound(self) -> Path:
        return self.root / "sound"

    @property
    def temporal_run(self) -> Path:
        return self.root / TEMPORAL

    @property
    def temporal_sound_run(self) -> Path:
        return self.root / TEMPORAL_SOUND

    def predictions(self, model: str) -> Path:
        return self.root / "predictions" / model

    @property
    def report(self) -> Path:
        return self.root / "report"

    @property
    def submission(self) -> Path:
        return self.root / "predictions.txt"
