"""The scores of a cell's predictions, by the measure of its tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from abaw.data.clips import Clip
from abaw.evaluation.action_units import unit_counts
from abaw.evaluation.measures import measure_of, sums_of
from abaw.evaluation.metrics import Floats, ScoredVideo, evaluate
from abaw.evaluation.multitask import TaskTally, moments_of, no_tasks
from abaw.inference.decode import Decoded
from abaw.protocol.classes import UNLABELLED

Pairs = Sequence[tuple[Clip, Decoded]]


def cell_scores(tasks: Sequence[str], videos: Pairs) -> dict[str, Any]:
    """The scores of a CellResult, by its names. Raises DataError when no frame is annotated."""
    scores = _expression(videos) if "expression" in tasks else _other_tasks(tasks, videos)
    return {"tasks": tuple(tasks), **scores}


def _expression(videos: Pairs) -> dict[str, Any]:
    found = evaluate([ScoredVideo(clip.name, clip.labels, predicted.labels, clip.face) for clip, predicted in videos])
    return {
        "score": found.all_frames.macro_f1,
        "score_with_face": found.with_face.macro_f1 if found.with_face else None,
        "accuracy": found.all_frames.accuracy,
        "num_frames": found.all_frames.num_frames,
        "statistics": found.confusions,
    }


def _other_tasks(tasks: Sequence[str], videos: Pairs) -> dict[str, Any]:
    measure = measure_of(tasks)
    sums = np.stack([_sums(clip, predicted, np.ones(len(clip), dtype=np.bool_)) for clip, predicted in videos])
    with_face = np.stack([_sums(clip, predicted, clip.face) for clip, predicted in videos])
    return {
        "score": measure.total(sums),
        "score_with_face": measure.total(with_face) if measure.label_counts(with_face).any() else None,
        "accuracy": None,
        "num_frames": sum(int(clip.labelled().sum()) for clip, _ in videos),
        "statistics": sums,
    }


def _sums(clip: Clip, predicted: Decoded, chosen: np.ndarray[Any, np.dtype[np.bool_]]) -> Floats:
    """What the measures of tasks other than expression need, over the chosen frames, (T,)."""
    nothing = no_tasks()
    moments, counts = nothing.moments, nothing.counts
    if clip.valence_arousal is not None and predicted.valence_arousal is not None:
        moments = moments_of(np.where(chosen[:, None], clip.valence_arousal, np.nan), predicted.valence_arousal)
    if clip.action_units is not None and predicted.action_units is not None:
        counts = unit_counts(np.where(chosen[:, None], clip.action_units, UNLABELLED), predicted.action_units)
    return sums_of(TaskTally(moments, counts))
