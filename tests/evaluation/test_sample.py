from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abaw.evaluation.sample import FrameSample


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=12), st.integers(4, 30))
def test_an_even_share_of_the_annotated_frames_is_kept(lengths: list[int], max_frames: int) -> None:
    sample = FrameSample(max_frames)
    first = 0
    for fold, length in enumerate(lengths):
        index = np.arange(first, first + length)
        # Unlabelled frames between labelled ones.
        probs = np.repeat(np.stack([index, index], axis=1), 2, axis=0).astype(np.float32)
        labels = np.tile([3, -1], length)
        sample.add(probs, labels, fold)
        first += length
    probs, labels, folds = sample.arrays()
    assert np.array_equal(probs[:, 0], np.arange(0, first, sample.stride))
    assert len(labels) == len(folds) <= max_frames
    assert (labels == 3).all()
    owner = np.repeat(np.arange(len(lengths)), lengths)
    assert np.array_equal(folds, owner[:: sample.stride])
    if first <= max_frames:
        assert sample.stride == 1


def test_half_precision_is_enough_for_probabilities() -> None:
    sample = FrameSample()
    probs = np.random.default_rng(0).dirichlet(np.ones(8), 500).astype(np.float32)
    sample.add(probs, np.zeros(500, np.int8), 0)
    assert sample.arrays()[0] == pytest.approx(probs, abs=3e-4)
