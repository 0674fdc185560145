"""Probes of a frozen model on face images: expressions, and the identities that photos show."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.data.face_set import FaceSet
from abaw.data.images import ImageReader
from abaw.evaluation.metrics import Scores, score_frames
from abaw.evaluation.probe import Retrieval, linear_probe, nearest_neighbours, neighbour_vote, retrieval, same_identity
from abaw.inference.images import read_features
from abaw.models.image_input import ImageInput
from abaw.models.static import StaticModel

_IDENTITY = re.compile(r"(.+)_\d+\.\w+$")


@dataclass(frozen=True, slots=True, eq=False)
class ExpressionProbes:
    """linear, knn: scores of the two classifiers; neighbours: (M, K) indices into the labelled faces, nearest first."""

    linear: Scores
    knn: Scores
    retrieval: Retrieval
    neighbours: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class IdentityProbe:
    """same: share of the `asked` faces whose nearest neighbour shows the same identity; faces: how many there are."""

    same: float
    asked: int
    faces: int


def probe_expressions(
    model: StaticModel, image: ImageInput, labelled: FaceSet, scored: FaceSet, neighbours: int, strength: float
) -> ExpressionProbes:
    """Fit the probes on N labelled faces and score them on M others; every face has a label.

    neighbours: K; strength: see `linear_probe`. Raises DataError when the labelled faces are of one class only.
    """
    if len(set(labelled.labels.tolist())) < 2:
        raise DataError(f"--labelled: its {len(labelled)} labelled faces are of one class; a probe needs two")
    features, queries = (_features(model, image, faces) for faces in (labelled, scored))
    nearest = nearest_neighbours(queries, features, neighbours)
    return ExpressionProbes(
        linear=score_frames(scored.labels, linear_probe(features, labelled.labels, queries, strength)),
        knn=score_frames(scored.labels, neighbour_vote(nearest, labelled.labels)),
        retrieval=retrieval(nearest, labelled.labels, scored.labels),
        neighbours=nearest,
    )


def probe_identities(model: StaticModel, image: ImageInput, faces: FaceSet) -> IdentityProbe:
    """How often a face's nearest neighbour shows the same identity. Raises DataError for a name without an identity."""
    same, asked = same_identity(_features(model, image, faces), _identities(faces))
    return IdentityProbe(same, asked, len(faces))


def _identities(faces: FaceSet) -> NDArray[np.int64]:
    """(N,) numbers of the identities, from names like PERSON_0001.jpg."""
    names = [Path(faces.name(index).rpartition(":")[2]).name for index in range(len(faces))]
    matches = [_IDENTITY.match(name) for name in names]
    if unnamed := [name for name, match in zip(names, matches, strict=True) if match is None]:
        raise DataError(f"--people: {unnamed[0]}: expected names like PERSON_0001.jpg, which name the person")
    _, identities = np.unique([match[1] for match in matches if match is not None], return_inverse=True)
    return identities


def _features(model: StaticModel, image: ImageInput, faces: FaceSet) -> NDArray[np.float32]:
    return read_features(model, ImageReader(faces, image.size, cache_mb=0), image)
