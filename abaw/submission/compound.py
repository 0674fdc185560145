"""Compound expressions without training on them, from the probabilities of the eight basic classes.

Our reading, as the editions hand out no training labels: `A_B` is likely as far as both A and B are, so its score is
the geometric mean of their probabilities, which ranks as their product does. Neutral and Other take no part.
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
"""The two basic classes of each compound one."""


def compound_scores(probs: NDArray[np.float32]) -> NDArray[np.float64]:
    """Geometric means of the two classes' probabilities, (T, 7) in the order of the compound classes.

    probs: (T, 8), filled and smoothed.
    """
    pairs = [[EXPRESSION_CLASSES.index(part) for part in PARTS[name]] for name in COMPOUND_CLASSES]
    first, second = np.array(pairs).T
    wide = probs.astype(np.float64)
    scores: NDArray[np.float64] = np.sqrt(wide[:, first] * wide[:, second])
    return scores


def compound_labels(probs: NDArray[np.float32]) -> NDArray[np.int8]:
    """The compound class of the highest score, (T,); on a tie the first."""
    labels: NDArray[np.int8] = compound_scores(probs).argmax(axis=1).astype(np.int8)
    return labels
