"""`abaw train-temporal`: features + annotations -> temporal model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from abaw.core.config import AT_MOST, Limit
from abaw.training.temporal_recipe import TemporalRecipe, recipe_of
from pipelines.console import progress, result, say, warn
from pipelines.inputs import InputPath, require_sources

if TYPE_CHECKING:
    from abaw.data.clips import ClipSet


@dataclass(frozen=True, kw_only=True)
class TrainTemporalConfig(TemporalRecipe):
    """Train the temporal model on frozen features.

    Args:
        features: folder of feature stores (`abaw features`); several folders are several sources, such as face
            and sound, combined by `model.fusion`
        annotations: folder with Train_Set (of each task), the multi-task train_set.txt, or the folder of the annotation
            files itself
        out: run folder; an existing run is resumed
        window: frames per window
        hop: frames from one window to the next in prediction; at most the window, to which it is lowered unless given
            on the command line

    Examples:
        abaw train-temporal --features features/ --annotations annotations/ --out runs/temporal
        abaw train-temporal --features features/ --annotations annotations/ --window 100 --hop 50 --out runs/short
        abaw train-temporal --config temporal_demo --features f/ --annotations labels/ --out run
    """

    features: tuple[InputPath, ...]
    annotations: InputPath
    out: Path
    window: int = 300
    hop: int = field(default=200, metadata={AT_MOST: Limit("window")})


def run(config: TrainTemporalConfig) -> int:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.protocol.annotations import TRAIN_SET
    from abaw.sequence.windows import Windows
    from abaw.training.temporal import train_temporal

    windows = Windows(config.window, config.hop)
    for text in config.cautions:
        warn(text)
    require_sources(config.features, config.sources)
    clips = read_split(config.features, config.annotations, TRAIN_SET, config.tasks)
    with progress("train-temporal", "steps") as hook:
        outcome = train_temporal(clips, windows, recipe_of(config), config.out, hook)
    num_videos = len(clips.clips)
    scored_on = (
        f"{config.holdout:.0%} of the {num_videos} training videos, held out"
        if config.holdout
        else f"the {num_videos} training videos themselves (nothing held out)"
    )
    say(f"scores on {scored_on}; the best step was chosen on them")
    for name, step, scores in (("last", outcome.steps, outcome.last), ("best", outcome.best_step, outcome.best)):
        values = ", ".join(f"{key} {value:.4f}" for key, value in scores.items())
        result(f"{config.out / name}: step {step}, {values}")
    return 0


def read_split(
    features: Sequence[Path], annotations: Path, split: str, tasks: Sequence[str] = ("expression",)
) -> ClipSet:
    """Features and labels of one split; mismatches are reported as warnings."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.data.read_clips import read_clips
    from abaw.models.tasks import ordered_tasks
    from abaw.protocol.labels import names_elsewhere, read_labels
    from abaw.stores.arrow import find_stores

    labels = read_labels(annotations, split, ordered_tasks(tasks))
    elsewhere = names_elsewhere(annotations, (split,))
    with progress(f"read {split}", "videos") as hook:
        clips, warnings = read_clips([find_stores([folder]) for folder in features], labels, tasks, hook, elsewhere)
    for text in warnings:
        warn(f"{split}: {text}")
    num_frames = sum(map(len, clips.clips))
    labelled = sum(int(clip.labelled().sum()) for clip in clips.clips)
    say(f"{split}: {len(clips.clips)} videos, {num_frames} frames, {labelled} labelled")
    return clips
