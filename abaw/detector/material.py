"""What the face detector is trained and scored on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import ConfigError
from abaw.core.progress import Progress, silent
from abaw.detector.backdrops import read_backgrounds
from abaw.detector.photos import FacePhotos, read_photos
from abaw.video.detecting.detector import Detector


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Photos to learn from, photos of other people to score on, and pictures without faces.

    teacher: identity of the detector that labelled the photos; with_face: background files left out because the teacher
    finds a face in them.
    """

    training: FacePhotos
    held_out: FacePhotos
    backgrounds: Sequence[NDArray[np.uint8]]
    teacher: str
    with_face: Sequence[Path]

    def facts(self) -> Mapping[str, Any]:
        """What identifies this material, for provenance and to recognise a run that is resumed."""
        return {
            "teacher_weights": self.teacher,
            "training": self.training.fingerprint(),
            "apart": self.held_out.fingerprint(),
            "num_training": len(self.training),
            "num_backgrounds": len(self.backgrounds),
        }


def read_material(
    photos: Sequence[Path],
    backgrounds: Sequence[Path],
    teacher: Detector,
    holdout: float,
    cache: Path,
    progress: Progress = silent,
) -> Material:
    """Read and label the photos, see read_photos, hold out a share of the people, and read the backgrounds.

    Raises ConfigError if there are no photos to learn from or none to score on.
    """
    labelled = read_photos(photos, teacher, cache, progress)
    grounds, with_face = read_backgrounds(backgrounds, teacher)
    training, held_out = labelled.split(holdout)
    if not len(training) or not len(held_out):
        raise ConfigError(
            f"{len(labelled)} photos make {len(training)} to learn from and {len(held_out)} to score on: give more "
            f"photos or another holdout ({holdout})"
        )
    return Material(training, held_out, grounds, teacher.identity, with_face)
