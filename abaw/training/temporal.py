"""One training run of a temporal model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from abaw.core.artifacts import provenance
from abaw.core.config import to_plain
from abaw.core.data_parallel import Part
from abaw.core.progress import Progress, silent
from abaw.core.run_folder import RunFolder
from abaw.core.seed import numpy_generator
from abaw.data.clips import ClipSet, split_by_video
from abaw.data.window_batches import WindowBatch, WindowSampler
from abaw.evaluation.clips import score_clips, score_other_tasks, selection_score
from abaw.models.tasks import ordered_tasks
from abaw.models.temporal import TemporalTransformer, build_temporal, temporal_spec
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.sequence.windows import Windows
from abaw.stores.checkpoints import save_checkpoint
from abaw.stores.spec import Spec
from abaw.training.launch import launch, with_whole_batch
from abaw.training.loop import TrainResult, train
from abaw.training.sequence_losses import expected_shares
from abaw.training.sequence_method import SequenceMethod
from abaw.training.temporal_recipe import TemporalRecipe

_WINDOWS_FOR_SHARES = 4000


def train_temporal(
    clips: ClipSet, windows: Windows, recipe: TemporalRecipe, out: Path, hook: Progress = silent
) -> TrainResult:
    """One training run in the run folder `out`, resumed if it was interrupted; equal arguments give equal models.

    The best checkpoint is that with the highest macro F1 of expression; without expression, with the highest mean CCC
    or mean F1 of the action units, or the highest sum of both. Raises ConfigError as `split_by_video`,
    `chosen_sources` and `ordered_tasks` do, and DataError when no frame has a label or a feature.
    """
    clips = clips.using(recipe.sources)
    seed, tasks = recipe.train.seed, ordered_tasks(recipe.tasks)
    training, held = clips, clips
    if recipe.holdout:
        training, held = split_by_video(clips, recipe.holdout, numpy_generator(seed, "holdout"))
    sampler = WindowSampler(training, windows.length, recipe.learn.batch_size, recipe.learn.sampling)

    def batches(step: int, part: Part) -> WindowBatch:
        # 0: earlier versions had a batch for each process, numbered from 0.
        return sampler(numpy_generator(seed, "windows", step, 0), part)

    fabric = launch(recipe.train)
    with fabric.rank_zero_first():
        config = _run_config(recipe, windows, clips)
        run_folder = RunFolder(
            out,
            config,
            # A run of an earlier version did not record its features.
            {**to_plain(TemporalRecipe()), "features": config["features"]},
            partial(with_whole_batch, group="learn"),
        )
    drawn = sampler.class_counts(numpy_generator(seed, "class shares"), _WINDOWS_FOR_SHARES)
    shares = expected_shares(drawn, training.class_counts(), recipe.learn)
    spec = _spec(recipe, windows, training, held, shares)
    model = build_temporal(spec, seed=seed)
    mean, deviation = training.statistics()
    model.set_statistics(torch.from_numpy(mean), torch.from_numpy(deviation))
    return train(
        fabric,
        SequenceMethod(
            model,
            recipe.learn,
            training.class_counts(),
            tasks,
            training.action_unit_counts(),
        ),
        batches,
        run_folder,
        recipe.train,
        evaluate=_scorer(spec, held),
        save=_saver(spec),
        select_by="macro_f1" if "expression" in tasks else selection_score(tasks),
        progress=hook,
    )


def _run_config(recipe: TemporalRecipe, windows: Windows, clips: ClipSet) -> dict[str, Any]:
    """What must be equal for a run to be resumed: the settings and the training data."""
    plain: dict[str, Any] = to_plain(recipe)
    data = {"backbone": clips.backbone, "labels": clips.fingerprint(), "features": clips.features_fingerprint()}
    return {**plain, "window": windows.length, "hop": windows.hop, **data}


def _spec(
    recipe: TemporalRecipe, windows: Windows, training: ClipSet, held: ClipSet, shares: tuple[float, ...]
) -> Spec:
    return temporal_spec(
        recipe.model,
        window=windows.length,
        hop=windows.hop,
        sources=training.sources,
        classes=EXPRESSION_CLASSES if "expression" in recipe.tasks else (),
        tasks=recipe.tasks,
        training=provenance(
            recipe=to_plain(recipe),
            videos=[clip.name for clip in training.clips],
            backbone_videos=list(training.backbone_videos),
            scored_on=[clip.name for clip in held.clips],
        ),
        class_shares=shares if "expression" in recipe.tasks else None,
    )


def _scorer(spec: Spec, clips: ClipSet) -> Callable[[nn.Module], Mapping[str, float]]:
    def score(model: nn.Module) -> Mapping[str, float]:
        assert isinstance(model, TemporalTransformer)
        if not spec.classes:
            return score_other_tasks(model, spec, clips)
        scores = score_clips(model, spec, clips).all_frames
        return {"macro_f1": scores.macro_f1, "accuracy": scores.accuracy}

    return score


def _saver(spec: Spec) -> Callable[[Path, nn.Module, Mapping[str, Any]], None]:
    def save(folder: Path, model: nn.Module, facts: Mapping[str, Any]) -> None:
        save_checkpoint(folder, replace(spec, training={**spec.training, **facts}), model.state_dict())

    return save
