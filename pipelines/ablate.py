"""`abaw ablate`: which window length? Temporal models of many lengths and seeds from one set of features."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from abaw.core.config import to_plain
from abaw.core.errors import ConfigError, DataError
from pipelines.ablation_report import Cell, best_line, markdown_table, write_csv, write_plot
from pipelines.console import progress, result, say
from pipelines.train_temporal import TemporalRecipe, read_split, recipe_of, train_temporal

if TYPE_CHECKING:
    from abaw.data.clips import ClipSet
    from abaw.sequence.windows import Windows

_CELL = "cell.json"


@dataclass(frozen=True, kw_only=True)
class AblateConfig(TemporalRecipe):
    """Compare window lengths. Each cell is the run that `train-temporal` makes with that window and seed.

    Args:
        features: folder of feature stores, read once (`abaw features`)
        annotations: folder that holds Train_Set and Validation_Set
        out: run folder; finished cells are kept, an unfinished one is resumed
        windows: window lengths in frames
        seeds: one training run a seed for every window
        hop_fraction: hop as a share of the window
        holdout: share of the training videos set apart, as in train-temporal
        model: size of the encoder
        learn: loss, sampling and augmentation
        train: optimiser, schedule, checkpoints; its seed is replaced by `seeds`
    """

    features: Path
    annotations: Path
    out: Path
    windows: tuple[int, ...] = (50, 100, 200, 300, 500)
    seeds: tuple[int, ...] = (0, 1, 2)
    hop_fraction: float = 2 / 3


def run(config: AblateConfig) -> int:
    from abaw.core.run_folder import RunFolder
    from abaw.protocol.annotations import TRAIN_SET, VALIDATION_SET

    grid = _grid(config)
    training = read_split(config.features, config.annotations, TRAIN_SET)
    scored = read_split(config.features, config.annotations, VALIDATION_SET)
    _require_apart(training, scored)
    # Windows and seeds are left out (0 stands for any seed): they may be added to a run that is there.
    RunFolder(config.out, {**to_plain(recipe_of(config, seed=0)), "hop_fraction": config.hop_fraction})
    cells = []
    for number, (windows, seed) in enumerate(grid, start=1):
        cells.append(_cell(config, windows, seed, training, scored))
        say(f"cell {number} of {len(grid)}: window {windows.length}, seed {seed}: macro F1 {cells[-1].macro_f1:.4f}")
    _write_report(config, cells, len(scored.clips))
    return 0


def _grid(config: AblateConfig) -> list[tuple[Windows, int]]:
    """Every window with every seed. Raises ConfigError when there is none, one twice, or a hop does not fit."""
    from abaw.sequence.windows import Windows

    for name, values in (("windows", config.windows), ("seeds", config.seeds)):
        if not values or len(set(values)) < len(values):
            raise ConfigError(f"{name} {list(values)}: expected one or more different numbers")
    if not 0 < config.hop_fraction <= 1:
        raise ConfigError(
            f"hop_fraction {config.hop_fraction:g}: expected more than 0 and at most 1; with hop > window the frames "
            "between windows get no prediction"
        )
    if config.train.devices > 1:
        raise ConfigError("ablate trains one cell after the other on one device; use --train.devices 1")
    windows = [Windows(length, max(1, round(length * config.hop_fraction))) for length in config.windows]
    return [(each, seed) for each in windows for seed in config.seeds]


def _require_apart(training: ClipSet, scored: ClipSet) -> None:
    """Raise DataError when a video is trained on and scored."""
    both = sorted({clip.name for clip in training.clips} & {clip.name for clip in scored.clips})
    if both:
        raise DataError(
            f"{len(both)} videos are in Train_Set and in Validation_Set: {', '.join(both[:5])}; give --annotations the "
            "folder that holds the two"
        )


def _cell(config: AblateConfig, windows: Windows, seed: int, training: ClipSet, scored: ClipSet) -> Cell:
    """Train and score one cell, or read what a former run has found."""
    from abaw.core.artifacts import read_json, write_json
    from abaw.training.loop import LAST

    folder = config.out / "cells" / f"window{windows.length}_hop{windows.hop}_seed{seed}"
    videos = sorted(clip.name for clip in scored.clips)
    if (folder / _CELL).exists():
        found = read_json(folder / _CELL)
        if found["scored_on"] != videos:
            raise DataError(f"{folder / _CELL}: was scored on other videos; choose another --out")
        return Cell(**found["cell"])
    fresh = not (folder / LAST).exists()
    begun = time.perf_counter()
    with progress(f"window {windows.length}, seed {seed}", "steps") as hook:
        train_temporal(training, windows, recipe_of(config, seed), folder, hook)
    seconds = round(time.perf_counter() - begun, 2) if fresh else None
    cell = _score(folder / LAST, windows, seed, scored, seconds)
    write_json(folder / _CELL, {"cell": asdict(cell), "scored_on": videos})
    return cell


def _score(checkpoint: Path, windows: Windows, seed: int, scored: ClipSet, seconds: float | None) -> Cell:
    """Score the last checkpoint, which was not chosen on these videos, once."""
    from abaw.inference.predict import score_clips
    from abaw.models.temporal import load_temporal

    model, _ = load_temporal(checkpoint)
    scores = score_clips(model, scored, windows)
    return Cell(
        window=windows.length,
        hop=windows.hop,
        seed=seed,
        macro_f1=scores.all_frames.macro_f1,
        macro_f1_with_face=scores.with_face.macro_f1 if scores.with_face else None,
        accuracy=scores.all_frames.accuracy,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        train_seconds=seconds,
    )


def _write_report(config: AblateConfig, cells: list[Cell], num_videos: int) -> None:
    from abaw.core.artifacts import write_json, write_text

    table = markdown_table(cells)
    best = best_line(cells, num_videos)
    write_text(config.out / "ablation.md", f"# Window lengths\n\n{table}\n{best}\n")
    write_csv(config.out / "ablation.csv", cells)
    write_plot(config.out / "ablation.png", cells)
    write_json(
        config.out / "ablation.json",
        {"config": to_plain(config), "best": best, "cells": [asdict(cell) for cell in cells]},
    )
    result(table)
    result(best)
    say(f"table and plot: {config.out / 'ablation.md'}, ablation.csv, ablation.png")
