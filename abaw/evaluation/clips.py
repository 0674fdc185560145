"""Scoring a temporal model on annotated videos whose features are in memory."""

from __future__ import annotations

import numpy as np

from abaw.data.clips import ClipSet
from abaw.evaluation.metrics import Evaluation, ScoredVideo, evaluate
from abaw.inference.predict import predict_clips
from abaw.models.temporal import TemporalTransformer
from abaw.stores.spec import Spec


def score_clips(model: TemporalTransformer, spec: Spec, clips: ClipSet) -> Evaluation:
    """Score a temporal model on annotated videos, without smoothing. Raises DataError when no frame is labelled."""
    return evaluate(
        [
            ScoredVideo(clip.name, clip.labels, predicted.probs.argmax(axis=1).astype(np.int8), clip.present)
            for clip, predicted in zip(clips.clips, predict_clips(model, spec, clips.clips), strict=True)
        ]
    )
