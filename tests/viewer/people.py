"""A person for viewer tests, from stores as the stages write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.sequence.smooth import parse_smoothing
from abaw.stores.faces import open_faces
from abaw.stores.predictions import Predictions
from abaw.viewer.person_timeline import PersonTimeline, read_timeline
from tests.data.faces import video_store

SURE = 0.72
"""Probability of a frame's class; the other seven share the rest equally."""


def probabilities(labels: Sequence[int | None]) -> NDArray[np.float32]:
    probs = np.full((len(labels), len(EXPRESSION_CLASSES)), (1 - SURE) / 7, np.float32)
    for row, label in enumerate(labels):
        probs[row, label or 0] = SURE
        probs[row] *= label is not None
    return probs


def person(
    folder: Path,
    labels: Sequence[int | None],
    *,
    name: str = "clip",
    annotated: Sequence[int] | None = None,
    smoothing: str = "none",
    times_s: Sequence[float] | None = None,
    box: tuple[float, float, float, float] = (20, 10, 60, 50),
) -> PersonTimeline:
    """A person with one frame per label, None for a frame without a face. All boxes are equal; no landmarks."""
    has_face = [label is not None for label in labels]
    columns = {
        "box_xyxy": [list(box) if face else None for face in has_face],
        "landmarks_xy": [None] * len(labels),
    }
    if times_s is not None:
        columns["time_s"] = list(times_s)
    path = video_store(folder / f"{name}.arrow", labels, **columns)
    valid = np.array(has_face)
    predictions = Predictions(
        name=name,
        classes=EXPRESSION_CLASSES,
        frames=np.arange(1, len(labels) + 1, dtype=np.int32),
        valid=valid,
        predicted=valid,
        probs=probabilities(labels),
        meta={},
    )
    given = None if annotated is None else np.array(annotated, np.int8)
    return read_timeline(open_faces(path), predictions, parse_smoothing(smoothing), given)
