"""Scoring a temporal model on annotated videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from abaw.data.clips import ClipSet
from abaw.evaluation.action_units import mean_unit_f1_of, unit_counts
from abaw.evaluation.metrics import Evaluation, ScoredVideo, evaluate
from abaw.evaluation.multitask import ccc_of, moments_of, no_tasks
from abaw.inference.predict import predict_clips
from abaw.models.temporal import TemporalTransformer, on_windows
from abaw.protocol.classes import VALENCE_AROUSAL
from abaw.stores.spec import Spec


def score_clips(model: TemporalTransformer, spec: Spec, clips: ClipSet) -> Evaluation:
    """Score a temporal model on annotated videos, without smoothing. Raises DataError when no frame is labelled."""
    return evaluate(
        [
            ScoredVideo(clip.name, clip.labels, predicted.probs.argmax(axis=1).astype(np.int8), clip.face)
            for clip, predicted in zip(clips.clips, predict_clips(on_windows(model), spec, clips.clips), strict=True)
        ]
    )


def selection_score(tasks: Sequence[str]) -> str:
    """The name of the score of `score_other_tasks` by which a model for these tasks is selected."""
    if len(tasks) > 1:
        return "sum"
    return "mean_ccc" if "valence_arousal" in tasks else "mean_unit_f1"


def score_other_tasks(model: TemporalTransformer, spec: Spec, clips: ClipSet) -> Mapping[str, float]:
    """Scores of valence and arousal and of action units by name, as far as the model has them, without smoothing.

    The `sum` of mean CCC and mean F1 is given for a model with both.
    """
    sums = no_tasks()
    moments, counts = sums.moments, sums.counts
    scores: dict[str, float] = {}
    for clip, predicted in zip(clips.clips, predict_clips(on_windows(model), spec, clips.clips), strict=True):
        if clip.valence_arousal is not None and predicted.valence_arousal is not None:
            moments = moments + moments_of(clip.valence_arousal, predicted.valence_arousal)
            scores["mean_ccc"] = 0.0
        if clip.action_units is not None and predicted.action_units is not None:
            counts = counts + unit_counts(clip.action_units, predicted.action_units)
            scores["mean_unit_f1"] = 0.0
    if "mean_ccc" in scores:
        coefficients = ccc_of(moments)
        scores["mean_ccc"] = float(coefficients.mean())
        scores |= zip((f"{name}_ccc" for name in VALENCE_AROUSAL), coefficients.tolist(), strict=True)
    if "mean_unit_f1" in scores:
        scores["mean_unit_f1"] = float(mean_unit_f1_of(counts))
    if {"mean_ccc", "mean_unit_f1"} <= scores.keys():
        scores["sum"] = scores["mean_ccc"] + scores["mean_unit_f1"]
    return scores
