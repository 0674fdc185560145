"""The passes over many sequences at once equal those over each alone."""

from __future__ import annotations

import numpy as np
import pytest

from abaw.sequence.hmm import Transitions, forward_backward, viterbi
from abaw.sequence.hmm_batch import posterior_batch, viterbi_batch


@pytest.mark.parametrize("lengths", [[1], [7], [9, 9], [12, 7, 7, 1]])
def test_each_sequence_is_decoded_as_if_alone(lengths: list[int]) -> None:
    rng = np.random.default_rng(0)
    transitions = Transitions(rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(4), 4))
    evidence = 2 * rng.standard_normal((len(lengths), max(lengths), 4))
    paths = viterbi_batch(evidence, np.array(lengths), transitions)
    posteriors = posterior_batch(evidence, np.array(lengths), transitions)
    for row, length in enumerate(lengths):
        alone = evidence[row, :length]
        assert paths[row, :length].tolist() == viterbi(alone, transitions).tolist()
        np.testing.assert_allclose(posteriors[row, :length], forward_backward(alone, transitions), atol=1e-9)
