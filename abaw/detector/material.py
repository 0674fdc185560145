"""What the face detector is trained and scored on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.core.progress import Progress, silent
from abaw.detector.backdrops import read_backgrounds
from abaw.detector.natural import (
    NO_NEGATIVES,
    NO_PICTURES,
    SCORED,
    TRAINING,
    HardNegatives,
    NaturalPictures,
    mine,
    parts_of,
    read_natural,
)
from abaw.detector.photos import FacePhotos, read_photos, split_photos
from abaw.video.detecting.detector import Detector


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Photos to learn from, photos of other people to score on, and pictures without faces.

    natural: natural pictures to learn from; hard: where a detector finds faces in them that are none; scored: natural
    pictures to score on; teacher: identity of the detector that labelled the photos; with_face: background files left
    out because the teacher finds a face in them.
    """

    training: FacePhotos
    held_out: FacePhotos
    backgrounds: Sequence[NDArray[np.uint8]]
    teacher: str
    with_face: Sequence[Path]
    natural: NaturalPictures = NO_PICTURES
    hard: HardNegatives = NO_NEGATIVES
    scored: NaturalPictures = NO_PICTURES

    def facts(self) -> Mapping[str, Any]:
        """What identifies this material, for provenance and to recognise a run that is resumed."""
        return {
            "teacher_weights": self.teacher,
            "training": self.training.fingerprint(),
            "apart": self.held_out.fingerprint(),
            "num_training": len(self.training),
            "num_backgrounds": len(self.backgrounds),
            "natural": self.natural.fingerprint(),
            "num_natural": len(self.natural),
            "num_hard": len(self.hard),
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
    training, held_out = split_photos(labelled, holdout)
    return Material(training, held_out, grounds, teacher.identity, with_face)


def with_natural(
    material: Material,
    folder: Path,
    teacher: Detector,
    share: float,
    detector: Detector | None,
    cache: Path,
    progress: Progress = silent,
) -> Material:
    """Add the natural pictures of a folder, without the `share` that is set aside (see parts_of).

    teacher: as in read_natural; detector: what the hard negatives are mined with, None for none. The pictures to learn
    from in which the teacher finds nothing are backgrounds, too.
    """
    pictures = read_natural(folder, teacher, cache, progress)
    parts = parts_of(pictures.names, share)
    training, scored = (pictures.pick(np.flatnonzero(parts == part)) for part in (TRAINING, SCORED))
    hard = NO_NEGATIVES if detector is None else mine(training, detector, progress)
    empty = [training.pictures[row] for row in training.empty]
    return replace(material, backgrounds=[*material.backgrounds, *empty], natural=training, hard=hard, scored=scored)
