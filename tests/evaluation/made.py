"""Made-up confusion matrices of videos from a population whose macro F1 is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NUM_CLASSES = 4
PRIOR = np.array([0.5, 0.25, 0.15, 0.1])


def population(skill: float) -> NDArray[np.float64]:
    """Expected shares of frames (C, C), rows annotated: `skill` of each class is correct, the rest spread evenly."""
    right = skill * np.eye(NUM_CLASSES) + (1 - skill) / NUM_CLASSES
    return PRIOR[:, None] * right


def videos(
    rng: np.random.Generator, skill: float, num_videos: int, spread: float = 30.0, frames: int = 300
) -> NDArray[np.int64]:
    """(V, C, C) frame counts of videos drawn from the population, each with its own likes and its own errors."""
    shares = rng.dirichlet(spread * population(skill).ravel(), size=num_videos)
    return rng.multinomial(frames, shares).reshape(num_videos, NUM_CLASSES, NUM_CLASSES)


def options(rng: np.random.Generator, skills: list[float], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """(O, V, C, C) what models of these skills make of the same annotated frames, (V, C) by class.

    How often a class is recognised in a video varies from video to video, independently for each model.
    """
    rows = []
    for skill in skills:
        right = population(skill) / PRIOR[:, None]
        shares = np.stack([rng.dirichlet(8 * row, size=len(labels)) for row in right], axis=1)
        rows.append(rng.multinomial(labels, shares))
    return np.stack(rows)
