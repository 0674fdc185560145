"""Which faces a benchmark cell trains on with labels, which without labels, and which are only scored."""

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
from abaw.data.settings import Pool
from abaw.protocol.classes import EXPRESSION_CLASSES, UNLABELLED
from abaw.stores.arrow import find_stores


@dataclass(frozen=True, slots=True)
class Portion:
    """Part of the labels: either a share of each class or a number per class."""

    share: float | None = None
    per_class: int | None = None

    @property
    def name(self) -> str:
        """As in the names of cells: `share=0.05`."""
        return f"per_class={self.per_class}" if self.share is None else f"share={self.share:g}"

    @property
    def heading(self) -> str:
        """As in tables: `5 %`."""
        return f"{self.per_class} per class" if self.share is None else f"{100 * self.share:g} %"

    @property
    def value(self) -> float:
        """Its position on an axis: per cent, or labels per class."""
        return float(self.per_class or 0) if self.share is None else 100 * self.share


def portions(shares: Sequence[float], per_class: Sequence[int]) -> list[Portion]:
    """A benchmark's portions. Raises ConfigError unless either shares or counts are given, all valid and different.

    shares: above 0, at most 1; per_class: labels per class, at least 1.
    """
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
        raise ConfigError(f"{', '.join(portion.name for portion in found)}: expected different values, found one twice")
    return found


_EVERYTHING = Pool()


@dataclass(frozen=True, slots=True)
class Sources:
    """Stores, or folders of stores. every: use every n-th frame of unlabelled videos."""

    labelled: tuple[Path, ...]
    scored: tuple[Path, ...]
    unlabelled: tuple[Path, ...]
    every: int


@dataclass(frozen=True, slots=True, eq=False)
class BenchFaces:
    """All faces of a benchmark.

    labelled: the faces of the labelled stores, including those without a label; scored: labelled faces that are in no
    other part; unlabelled: from further stores, None without any; left_out: number of faces excluded because they are
    also scored.
    """

    labelled: FaceSet
    scored: FaceSet
    unlabelled: FaceSet | None
    left_out: int


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The faces of one cell. selection: None when nothing is held out; unlabelled: None when there are none."""

    training: FaceSet
    selection: FaceSet | None
    unlabelled: FaceSet | None


def read_faces(sources: Sources) -> BenchFaces:
    """Read all faces of a benchmark. Raises DataError when a part has no face, or only faces that are also scored."""
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
    """The faces not in `aside`, compared by data set and name of the photo and by the bytes of the crop."""
    photos = join([aside, faces]).photos()
    same_photo = np.isin(photos[len(aside) :], photos[: len(aside)])
    crops = set(_crop_hashes(aside))
    same_crop = np.array([crop in crops for crop in _crop_hashes(faces)], dtype=bool)
    left = faces.take(~(same_photo | same_crop))
    if not len(left):
        raise DataError(f"--{what}: all of its {len(faces)} faces are also in --scored; give stores of other faces")
    return left


def _crop_hashes(faces: FaceSet) -> list[bytes]:
    return [hashlib.sha256(faces.jpeg(index)).digest() for index in range(len(faces))]


def split(faces: BenchFaces, portion: Portion, holdout: float, seed: int, pool: Pool = _EVERYTHING) -> Split:
    """The faces of the cells of one portion and seed.

    The portions of a seed are nested: its 5 % are part of its 10 %. The share `holdout` of the portion becomes the
    selection split. All crops of a photo stay together. Raises DataError when a class has too few labelled photos.
    """
    photos = faces.labelled.photos()
    _, first = np.unique(photos, return_index=True)
    mine = _portion(faces.labelled.labels[first], portion, seed)[photos]
    # Some crops of a chosen photo may have no label.
    training = faces.labelled.take(mine & (faces.labelled.labels >= 0))
    unlabelled = _unlabelled(faces.labelled.take(~mine).without_labels(), faces.unlabelled, pool, seed)
    if not holdout:
        return Split(training, None, unlabelled)
    held = hold_out_photos(training, holdout, numpy_generator(seed, "bench", "holdout", portion.name))
    return Split(training.take(~held), training.take(held), unlabelled)


def _unlabelled(rest: FaceSet, other: FaceSet | None, pool: Pool, seed: int) -> FaceSet | None:
    source, limit = pool.unlabelled_from, pool.unlabelled_limit
    chosen = {"all": (rest, other), "rest": (rest,), "other": (other,)}[source]
    parts = [part for part in chosen if part is not None and len(part)]
    if not parts:
        return None
    found = join(parts)
    if limit is None or len(found) <= limit:
        return found
    kept = np.zeros(len(found), dtype=bool)
    kept[numpy_generator(seed, "bench", "unlabelled", source).permutation(len(found))[:limit]] = True
    return found.take(kept)


def _portion(labels: NDArray[np.integer], portion: Portion, seed: int) -> NDArray[np.bool_]:
    """The photos whose labels are used, (N,). Raises DataError when a class has too few of them."""
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
