"""How well frozen features separate expressions and identities: a linear probe, nearest neighbours, retrieval.

Shapes: N faces to learn from, M scored faces, D feature, K neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError

Features = NDArray[np.float32]
Labels = NDArray[np.integer]

_QUERIES_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Retrieval:
    """precision: share of the neighbours that share the query's label; macro_precision: its mean over the labels that
    queries have; chance: the macro precision of a random order."""

    precision: float
    macro_precision: float
    chance: float


def linear_probe(features: Features, labels: Labels, scored: Features, strength: float = 1.0) -> NDArray[np.int64]:
    """Classes (M,) by a logistic regression on standardised features: (N, D), (N,) and (M, D).

    strength: inverse of the L2 penalty's weight. A constant feature has no influence.
    """
    # Loaded on use: scikit-learn takes seconds.
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scale = StandardScaler().fit(features)
    model = LogisticRegression(C=strength, max_iter=2000).fit(scale.transform(features), labels)
    return np.asarray(model.predict(scale.transform(scored)), dtype=np.int64)


def nearest_neighbours(queries: Features, gallery: Features, count: int, *, same: bool = False) -> NDArray[np.int64]:
    """(M, count) indices into the gallery (N, D), by decreasing cosine similarity to each query (M, D).

    same: the queries are the gallery, and a face is not its own neighbour. Raises DataError when it is too small.
    """
    if len(gallery) < count + same:
        raise DataError(f"{len(gallery)} faces have no {count} neighbours each; give more faces or fewer neighbours")
    queries, gallery = _unit(queries), _unit(gallery)
    found = np.empty((len(queries), count), dtype=np.int64)
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        cosines = queries[start : start + _QUERIES_AT_ONCE] @ gallery.T
        rows = np.arange(len(cosines))
        if same:
            cosines[rows, start + rows] = -np.inf
        best = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(cosines, best, 1), axis=1, kind="stable")
        found[start : start + len(rows)] = np.take_along_axis(best, order, 1)
    return found


def neighbour_vote(neighbours: NDArray[np.int64], labels: Labels) -> NDArray[np.int64]:
    """Classes (M,) by the majority of each query's neighbours (M, K), whose labels (N,) are known.

    Of several classes with equally many votes, the one of the nearest neighbour is taken.
    """
    votes = labels[neighbours]
    counts = (votes[:, :, None] == votes[:, None, :]).sum(2)
    return np.asarray(votes[np.arange(len(votes)), counts.argmax(1)], dtype=np.int64)


def retrieval(neighbours: NDArray[np.int64], labels: Labels, query_labels: Labels) -> Retrieval:
    """How often neighbours (M, K) have the query's label. labels: of the gallery, (N,); query_labels: (M,)."""
    share = (labels[neighbours] == query_labels[:, None]).mean(1)
    found = np.unique(query_labels)
    return Retrieval(
        float(share.mean()),
        float(np.mean([share[query_labels == label].mean() for label in found])),
        float(np.mean([(labels == label).mean() for label in found])),
    )


def same_identity(features: Features, identities: Labels) -> tuple[float, int]:
    """How often a face's nearest neighbour among the other faces shows the same identity: (N, D) and (N,).

    Identities with a single face are not counted. Returns the share, and the number of faces counted. Raises DataError
    when no identity has two faces.
    """
    nearest = nearest_neighbours(features, features, 1, same=True)[:, 0]
    _, inverse, counts = np.unique(identities, return_inverse=True, return_counts=True)
    asked = counts[inverse] > 1
    if not asked.any():
        raise DataError("no person has two faces; give photos named PERSON_0001.jpg with several of a person")
    return float((identities[nearest] == identities)[asked].mean()), int(asked.sum())


def _unit(features: Features) -> Features:
    norm = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(norm, 1e-12), dtype=np.float32)
