"""Compound expressions from the probabilities of the eight basic classes, without training on compound labels.

The editions provide no training labels, so this is our interpretation: `A_B` is likely if both A and B are. Its score
is the geometric mean of their probabilities, which ranks like their product. Neutral and Other are not used.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from abaw.protocol.classes import COMPOUND_CLASSES, EXPRESSION_CLASSES

PARTS: Final = {
    "Fearfully_Surprised": ("Fear", "Surprise"),
    "Happily_Surprised": ("Happiness", "Surprise"),
    "Sadly_Surprised": ("Sadness", "Surprise"),
    "Disgustedly_Surprised": ("Disgust", "Surprise"),
    "Angrily_Surprised": ("Anger", "Surprise"),
    "Sadly_Fearful": ("Sadness", "Fear"),
    "Sadly_Angry": ("Sadness", "Anger"),
}
"""The two basic classes of each compound class."""


def compound_scores(probs: NDArray[np.float32]) -> NDArray[np.float64]:
    """Geometric means of the probabilities of both basic classes, (T, 7), in the order of the compound classes.

    probs: (T, 8), with gaps filled, smoothed.
    """
    pairs = [[EXPRESSION_CLASSES.index(part) for part in PARTS[name]] for name in COMPOUND_CLASSES]
    first, second = np.array(pairs).T
    wide = probs.astype(np.float64)
    scores: NDArray[np.float64] = np.sqrt(wide[:, first] * wide[:, second])
    return scores


def compound_labels(probs: NDArray[np.float32]) -> NDArray[np.int8]:
    """The compound class with the highest score, (T,); the first on a tie."""
    labels: NDArray[np.int8] = compound_scores(probs).argmax(axis=1).astype(np.int8)
    return labels
