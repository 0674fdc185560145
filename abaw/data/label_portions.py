"""Which faces a cell of the benchmark learns from with their labels, which without, and on which nothing may learn."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import ConfigError, DataError
from abaw.core.seed import numpy_generator
from abaw.data.face_set import FaceSet, join, stills, unlabelled_faces
from abaw.data.sampling import hold_out_photos
from abaw.protocol.classes import EXPRESSION_CLASSES, UNLABELLED
from abaw.stores.arrow import find_stores


@dataclass(frozen=True, slots=True)
class Portion:
    """Part of the labels: a share of each class, or a count of each class (one of the two)."""

    share: float | None = None
    per_class: int | None = None

    @property
    def name(self) -> str:
        """In the names of cells: `share=0.05`."""
        return f"per_class={self.per_class}" if self.share is None else f"share={self.share:g}"

    @property
    def heading(self) -> str:
        """In tables: `5 %`."""
        return f"{self.per_class} a class" if self.share is None else f"{100 * self.share:g} %"

    @property
    def value(self) -> float:
        """Where it lies on an axis: per cent, or labels a class."""
        return float(self.per_class or 0) if self.share is None else 100 * self.share


def portions(shares: Sequence[float], per_class: Sequence[int]) -> list[Portion]:
    """Raises ConfigError unless there are shares or counts, not both, all different and in range."""
    if bool(shares) == bool(per_class):
        raise ConfigError("give either shares (parts of each class) or per_class (labels of each class)")
    for share in shares:
        if not 0 < share <= 1:
            raise ConfigError(f"shares: {share:g}; expected more than 0 and at most 1")
    for count in per_class:
        if count < 1:
            raise ConfigError(f"per_class: {count}; expected at least 1")
    found = [Portion(share=share) for share in shares] + [Portion(per_class=count) for count in per_class]
    if len({portion.name for portion in found}) < len(found):
        raise ConfigError(f"{', '.join(portion.name for portion in found)}: one is given twice")
    return found


@dataclass(frozen=True, slots=True)
class Sources:
    """Stores, or folders of them. every: of unlabelled videos every n-th frame."""

    labelled: tuple[Path, ...]
    scored: tuple[Path, ...]
    unlabelled: tuple[Path, ...]
    every: int


@dataclass(frozen=True, slots=True, eq=False)
class BenchFaces:
    """labelled: all faces of the labelled stores, also those without a label; scored: labelled, of no other part;
    unlabelled: of further stores, None without any; left_out: faces that were taken out, for they are scored too."""

    labelled: FaceSet
    scored: FaceSet
    unlabelled: FaceSet | None
    left_out: int


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The faces of one cell. selection: None when nothing is held out; unlabelled: None when there is no such face."""

    training: FaceSet
    selection: FaceSet | None
    unlabelled: FaceSet | None


def read_faces(sources: Sources) -> BenchFaces:
    """Raises DataError when a part has no face, or none that is not scored too."""
    aside = join([stills(path) for path in find_stores(sources.scored)])
    scored = aside.take(aside.labels != UNLABELLED)
    if not len(scored):
        raise DataError(f"--scored: none of its {len(aside)} faces has a label; give labelled image sets")
    labelled = join([stills(path) for path in find_stores(sources.labelled)])
    others = [unlabelled_faces(path, sources.every) for path in find_stores(sources.unlabelled)]
    kept = _without(labelled, aside, "labelled")
    unlabelled = join(others) if others else None
    left_out = len(labelled) - len(kept)
    if unlabelled is not None:
        found = _without(unlabelled, aside, "unlabelled")
        left_out += len(unlabelled) - len(found)
        unlabelled = found
    return BenchFaces(kept, scored, unlabelled, left_out)


def _without(faces: FaceSet, aside: FaceSet, what: str) -> FaceSet:
    """The faces that are not in `aside`: neither as a photo of that data set and name, nor as a crop of those bytes."""
    photos = join([aside, faces]).photos()
    same_photo = np.isin(photos[len(aside) :], photos[: len(aside)])
    crops = set(_crop_hashes(aside))
    same_crop = np.array([crop in crops for crop in _crop_hashes(faces)], dtype=bool)
    left = faces.take(~(same_photo | same_crop))
    if not len(left):
        raise DataError(f"--{what}: all of its {len(faces)} faces are in --scored too; give stores of other faces")
    return left


def _crop_hashes(faces: FaceSet) -> list[bytes]:
    return [hashlib.sha256(faces.jpeg(index)).digest() for index in range(len(faces))]


def split(faces: BenchFaces, portion: Portion, holdout: float, seed: int) -> Split:
    """The faces of the cells of one portion and seed.

    The portions of a seed are nested: its 5 % lie in its 10 %. Of the portion, `holdout` is set apart as the selection
    split. All crops of a photo go the same way.
    """
    photos = faces.labelled.photos()
    _, first = np.unique(photos, return_index=True)
    mine = _portion(faces.labelled.labels[first], portion, seed)[photos]
    # A second crop of a photo may have no label of its own.
    training = faces.labelled.take(mine & (faces.labelled.labels >= 0))
    rest = faces.labelled.take(~mine).without_labels()
    parts = [part for part in (rest, faces.unlabelled) if part is not None and len(part)]
    unlabelled = join(parts) if parts else None
    if not holdout:
        return Split(training, None, unlabelled)
    held = hold_out_photos(training, holdout, numpy_generator(seed, "bench", "holdout", portion.name))
    return Split(training.take(~held), training.take(held), unlabelled)


def _portion(labels: NDArray[np.integer], portion: Portion, seed: int) -> NDArray[np.bool_]:
    """(N,) True for the photos whose labels are known. Raises DataError when a class has too few of them."""
    chosen = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels[labels != UNLABELLED]):
        members = numpy_generator(seed, "bench", "labels", int(label)).permutation(np.flatnonzero(labels == label))
        if portion.share is not None:
            count = max(1, round(portion.share * len(members)))
        else:
            count = portion.per_class or 0
            if count > len(members):
                raise DataError(
                    f"{portion.heading}: class {EXPRESSION_CLASSES[label]} has {len(members)} labelled photos; give "
                    "smaller counts with --per_class"
                )
        chosen[members[:count]] = True
    if not chosen.any():
        raise DataError("--labelled: no face has a label")
    return chosen
