"""`abaw train-temporal`: features + annotations -> temporal model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from abaw.core.config import to_plain
from abaw.core.progress import Progress, silent
from abaw.models.sizes import TransformerSize
from abaw.training.sequence_settings import SequenceLearning
from abaw.training.settings import TrainSettings
from pipelines.console import progress, result, say, warn

if TYPE_CHECKING:
    from torch import nn

    from abaw.data.clips import ClipSet
    from abaw.sequence.windows import Windows
    from abaw.stores.checkpoints import Spec
    from abaw.training.loop import TrainResult


@dataclass(frozen=True, kw_only=True)
class TemporalRecipe:
    """What a temporal model is and how it learns.

    Args:
        holdout: share of the training videos set apart to choose the best checkpoint; 0 trains on all of them
        tasks: what is learned a frame, expression among them: expression, valence_arousal, action_units
        model: shape of the encoder
        learn: loss, sampling and augmentation
        train: optimiser, schedule, checkpoints
    """

    holdout: float = 0.15
    tasks: tuple[str, ...] = ("expression",)
    model: TransformerSize = field(default_factory=TransformerSize)
    learn: SequenceLearning = field(default_factory=SequenceLearning)
    train: TrainSettings = field(default_factory=TrainSettings)


@dataclass(frozen=True, kw_only=True)
class TrainTemporalConfig(TemporalRecipe):
    """Train the temporal model on frozen features.

    Args:
        features: folder of feature stores (`abaw features`); the features of several are concatenated
        annotations: folder that holds Train_Set (of each task), or the multi-task train_set.txt, or the folder of the
            annotation files itself
        out: run folder; a run that stands there is resumed
        window: frames a window
        hop: frames from one window to the next in prediction; at most the window
        holdout: share of the training videos set apart to choose the best checkpoint; 0 trains on all of them
        tasks: what is learned a frame, expression among them: expression, valence_arousal, action_units
        model: shape of the encoder
        learn: loss, sampling and augmentation
        train: optimiser, schedule, checkpoints
    """

    features: tuple[Path, ...]
    annotations: Path
    out: Path
    window: int = 300
    hop: int = 200


def run(config: TrainTemporalConfig) -> int:
    from abaw.protocol.annotations import TRAIN_SET
    from abaw.sequence.windows import Windows

    windows = Windows(config.window, config.hop)
    clips = read_split(config.features, config.annotations, TRAIN_SET, config.tasks)
    with progress("train-temporal", "steps") as hook:
        outcome = train_temporal(clips, windows, recipe_of(config), config.out, hook)
    num_videos = len(clips.clips)
    scored_on = (
        f"{config.holdout:.0%} of the {num_videos} training videos, held out"
        if config.holdout
        else f"the {num_videos} training videos themselves (no holdout)"
    )
    say(f"scores on {scored_on}; the best step was chosen on them")
    for name, step, scores in (("last", outcome.steps, outcome.last), ("best", outcome.best_step, outcome.best)):
        values = ", ".join(f"{key} {value:.4f}" for key, value in scores.items())
        result(f"{config.out / name}: step {step}, {values}")
    return 0


def recipe_of(config: TemporalRecipe, seed: int | None = None) -> TemporalRecipe:
    """The recipe alone, with another seed when given: where things lie on a machine is nothing for a checkpoint."""
    train = config.train if seed is None else replace(config.train, seed=seed)
    return TemporalRecipe(
        holdout=config.holdout, tasks=config.tasks, model=config.model, learn=config.learn, train=train
    )


def read_split(
    features: Sequence[Path], annotations: Path, split: str, tasks: Sequence[str] = ("expression",)
) -> ClipSet:
    """Features and labels of one split; what does not match is told as warnings."""
    from abaw.data.read_clips import read_clips
    from abaw.models.tasks import ordered_tasks
    from abaw.protocol.targets import read_targets
    from abaw.stores.arrow import find_stores

    targets = read_targets(annotations, split, ordered_tasks(tasks))
    with progress(f"read {split}", "videos") as hook:
        clips, warnings = read_clips([find_stores([folder]) for folder in features], targets, tasks, hook)
    for text in warnings:
        warn(f"{split}: {text}")
    num_frames = sum(map(len, clips.clips))
    labelled = sum(int(clip.labelled().sum()) for clip in clips.clips)
    say(f"{split}: {len(clips.clips)} videos, {num_frames} frames, {labelled} labelled")
    return clips


def train_temporal(
    clips: ClipSet, windows: Windows, recipe: TemporalRecipe, out: Path, hook: Progress = silent
) -> TrainResult:
    """One training run in its own folder, resumed when it was begun. The same arguments give the same model."""
    from abaw.core.run_folder import RunFolder
    from abaw.core.seed import numpy_generator
    from abaw.data.clips import split_by_video
    from abaw.data.window_batches import WindowBatch, WindowSampler
    from abaw.models.tasks import ordered_tasks
    from abaw.models.temporal import build_temporal
    from abaw.training.loop import launch, train
    from abaw.training.sequence_method import SequenceMethod

    seed = recipe.train.seed
    training, held = clips, clips
    if recipe.holdout:
        training, held = split_by_video(clips, recipe.holdout, numpy_generator(seed, "holdout"))
    sampler = WindowSampler(training, windows.length, recipe.learn.batch_size, recipe.learn.sampling)

    def batches(step: int, rank: int) -> WindowBatch:
        return sampler(numpy_generator(seed, "windows", step, rank))

    fabric = launch(recipe.train)
    with fabric.rank_zero_first():
        run_folder = RunFolder(out, _run_config(recipe, windows, clips))
    spec = _spec(recipe, windows, training, held)
    model = build_temporal(spec, seed=seed)
    model.set_statistics(*training.statistics())
    return train(
        fabric,
        SequenceMethod(
            model,
            recipe.learn,
            training.class_counts(),
            ordered_tasks(recipe.tasks),
            training.action_unit_counts(),
        ),
        batches,
        run_folder,
        recipe.train,
        evaluate=_scorer(spec, held),
        save=_saver(spec),
        select_by="macro_f1",
        progress=hook,
    )


def _run_config(recipe: TemporalRecipe, windows: Windows, clips: ClipSet) -> dict[str, Any]:
    """What must be equal for a run to be resumed: the settings, and what it learns from."""
    plain: dict[str, Any] = to_plain(recipe)
    data = {"backbone": clips.backbone, "labels": clips.fingerprint()}
    return {**plain, "window": windows.length, "hop": windows.hop, **data}


def _spec(recipe: TemporalRecipe, windows: Windows, training: ClipSet, held: ClipSet) -> Spec:
    from abaw.core.artifacts import provenance
    from abaw.models.temporal import temporal_spec
    from abaw.protocol.classes import EXPRESSION_CLASSES

    return temporal_spec(
        recipe.model,
        window=windows.length,
        hop=windows.hop,
        feature_dim=training.feature_dim,
        classes=EXPRESSION_CLASSES,
        backbone=training.backbone,
        tasks=recipe.tasks,
        training=provenance(
            recipe=to_plain(recipe),
            videos=[clip.name for clip in training.clips],
            backbone_videos=list(training.backbone_videos),
            scored_on=[clip.name for clip in held.clips],
        ),
    )


def _scorer(spec: Spec, clips: ClipSet) -> Callable[[nn.Module], Mapping[str, float]]:
    from abaw.inference.predict import score_clips
    from abaw.models.temporal import TemporalTransformer

    def score(model: nn.Module) -> Mapping[str, float]:
        assert isinstance(model, TemporalTransformer)
        scores = score_clips(model, spec, clips).all_frames
        return {"macro_f1": scores.macro_f1, "accuracy": scores.accuracy}

    return score


def _saver(spec: Spec) -> Callable[[Path, nn.Module, Mapping[str, Any]], None]:
    from abaw.stores.checkpoints import save_checkpoint

    def save(folder: Path, model: nn.Module, facts: Mapping[str, Any]) -> None:
        save_checkpoint(folder, replace(spec, training={**spec.training, **facts}), model.state_dict())

    return save
