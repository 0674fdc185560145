"""Probes of features, on features whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from abaw.core.errors import DataError
from abaw.evaluation.probe import linear_probe, nearest_neighbours, neighbour_vote, retrieval, same_identity


def test_a_linear_probe_reads_what_is_linear() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    features = rng.normal(size=(300, 5)).astype(np.float32)
    features[:, 1] += 4 * (labels == 1)
    features[:, 2] += 4 * (labels == 2)
    features[:, 4] = 7.0  # never changes
    found = linear_probe(features[:200], labels[:200], features[200:])
    assert (found == labels[200:]).mean() > 0.9
    shuffled = linear_probe(features[:200], rng.permutation(labels[:200]), features[200:])
    assert (shuffled == labels[200:]).mean() < 0.6


GALLERY = np.array([[1, 0], [0.9, 0.1], [0, 2], [-1, 0]], dtype=np.float32)


def test_neighbours_come_by_falling_cosine_whatever_the_length() -> None:
    queries = np.array([[5, 0.0], [0.1, 0.1]], dtype=np.float32)
    assert nearest_neighbours(queries, GALLERY, 3).tolist() == [[0, 1, 2], [1, 0, 2]] or nearest_neighbours(
        queries, GALLERY, 3
    ).tolist() == [[0, 1, 2], [1, 2, 0]]
    assert nearest_neighbours(GALLERY, GALLERY, 1, same=True)[:, 0].tolist() == [1, 0, 1, 2]


@pytest.mark.parametrize(("count", "same"), [(5, False), (4, True)])
def test_too_few_faces_are_reported(count: int, same: bool) -> None:
    with pytest.raises(DataError, match="4 faces have no"):
        nearest_neighbours(GALLERY, GALLERY, count, same=same)


def test_neighbours_are_the_same_in_parts() -> None:
    features = np.random.default_rng(0).normal(size=(1200, 4)).astype(np.float32)
    found = nearest_neighbours(features, features, 2, same=True)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -2)
    assert (found[:, 0] == cosines.argmax(1)).mean() > 0.999


def test_a_vote_that_ties_goes_to_the_nearest() -> None:
    labels = np.array([3, 5, 5, 3])
    neighbours = np.array([[0, 1, 2], [1, 0, 3], [2, 0, 1]])
    assert neighbour_vote(neighbours, labels).tolist() == [5, 3, 5]
    assert neighbour_vote(np.array([[1, 0], [0, 1]]), labels).tolist() == [5, 3]


def test_retrieval_counts_neighbours_of_the_same_label() -> None:
    labels = np.array([0, 0, 0, 1])
    found = retrieval(np.array([[0, 1], [0, 3], [0, 1]]), labels, np.array([0, 1, 1]))
    assert found.precision == pytest.approx((1 + 0.5 + 0) / 3)
    assert found.macro_precision == pytest.approx((1 + 0.25) / 2)
    assert found.chance == pytest.approx((0.75 + 0.25) / 2)


def test_people_are_asked_of_those_with_several_faces() -> None:
    people = np.array([0, 0, 1, 2])
    assert same_identity(GALLERY, people) == (1.0, 2)
    with pytest.raises(DataError, match="no person has two faces"):
        same_identity(GALLERY, np.arange(4))
