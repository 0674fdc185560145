"""`abaw cross-validate`: k folds over both official splits; a model predicts only videos it was not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from abaw.core.config import AT_MOST, Limit, to_plain
from abaw.core.errors import ConfigError
from abaw.training.temporal_recipe import TemporalRecipe, recipe_of
from pipelines.compare.cells import Cell, CellResult, Splits, read_splits, run_cells, shared_in_run
from pipelines.compare.runs import require_parallel
from pipelines.console import result, say, warn
from pipelines.engine_settings import EngineSettings
from pipelines.inputs import InputPath, require_sources
from pipelines.items import finish_items

if TYPE_CHECKING:
    from abaw.data.clips import Clip


@dataclass(frozen=True, kw_only=True)
class CrossValidateConfig(TemporalRecipe, EngineSettings):
    """Train one temporal model per fold of the videos, and predict each fold with the model that never saw it.

    Args:
        features: folder of feature stores (`abaw features`), checked once and then mapped; several folders are several
            sources
        annotations: folder with Train_Set and Validation_Set
        out: run folder; finished folds are kept, an unfinished one is resumed
        folds: number of folds; both people of a video are in the same fold, and each class is spread over the folds
        window: frames per window
        hop: frames from one window to the next in prediction; at most the window, to which it is lowered unless given
            on the command line
        holdout: share of each fold's training videos held out to choose its best checkpoint; 0 trains on all of them
        train: optimiser, schedule, checkpoints; its seed also draws the folds

    Examples:
        abaw cross-validate --features features/ --annotations annotations/ --out runs/folds
        abaw cross-validate --features features/ --annotations annotations/ --folds 10 --workers 2 --out runs/ten_folds
    """

    features: tuple[InputPath, ...]
    annotations: InputPath
    out: Path
    folds: int = 5
    window: int = 300
    hop: int = field(default=200, metadata={AT_MOST: Limit("window")})


def run(config: CrossValidateConfig) -> int:
    """Exit status: 1 when a fold failed, else 0."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.sequence.windows import Windows

    Windows(config.window, config.hop)
    if config.folds < 2:
        raise ConfigError(f"folds {config.folds}: expected at least 2")
    require_parallel(config.train, config, "cross-validate")
    require_sources(config.features, config.sources)
    for text in config.cautions:
        warn(text)
    training, validation = read_splits(config.features, config.annotations, config.tasks)
    fold_of = _folds((*training.clips, *validation.clips), config.folds, config.train.seed)
    defaults = to_plain(TemporalRecipe())
    with shared_in_run(training, validation, config.out, _settings(config), defaults) as splits:
        cells = [_cell(config, splits, fold_of, fold) for fold in range(config.folds)]
        results, failures = run_cells(cells, splits.clips, config, config.out)
        if not failures:
            _write_report(config, list(results.values()))
    return finish_items(len(results), failures)


def _settings(config: CrossValidateConfig) -> dict[str, Any]:
    own = {"folds": config.folds, "window": config.window, "hop": config.hop}
    return {**to_plain(recipe_of(config)), **own}


def _folds(clips: Sequence[Clip], num_folds: int, seed: int) -> dict[str, int]:
    """The fold of each video by its name. Raises ConfigError when a fold would be empty."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.data.clips import label_counts
    from abaw.evaluation.folds import folds_by_name, require_filled

    counts = dict(zip([clip.name for clip in clips], label_counts(clips), strict=True))
    folds = folds_by_name(counts, num_folds, seed)
    require_filled(folds, counts, num_folds)
    return folds


def _cell(config: CrossValidateConfig, splits: Splits, fold_of: Mapping[str, int], fold: int) -> Cell:
    names = (*splits.training, *splits.validation)
    return Cell(
        name=f"fold {fold}",
        folder=config.out / "folds" / str(fold),
        predictions=config.out / "predictions",
        window=config.window,
        hop=config.hop,
        recipe=recipe_of(config),
        training=tuple(name for name in names if fold_of[name] != fold),
        scored=tuple(name for name in names if fold_of[name] == fold),
    )


def _write_report(config: CrossValidateConfig, folds: Sequence[CellResult]) -> None:
    # Loaded on use: `--help` and wrong usage are answered without it.
    import numpy as np

    from abaw.core.artifacts import write_json, write_text
    from abaw.evaluation.bootstrap import video_groups

    names = [name for fold in folds for name in fold.videos]
    statistics = np.concatenate([fold.statistics for fold in folds])
    measure = folds[0].measure
    score, interval = measure.total(statistics), measure.interval(statistics, video_groups(names))
    scores = [fold.score for fold in folds]
    line = (
        f"out of fold: {measure.name} {score:.4f}, 95 % interval {interval:.4f}, on {len(names)} videos; "
        f"over the {len(folds)} folds {mean(scores):.4f} ± {stdev(scores):.4f}"
    )
    table = _table(folds)
    write_text(config.out / "cross_validation.md", f"# Cross-validation\n\n{table}\n{line}\n")
    write_json(
        config.out / "cross_validation.json",
        {
            "config": to_plain(config),
            measure.key: score,
            "interval": interval.ends,
            "folds_mean": mean(scores),
            "folds_deviation": stdev(scores),
            "folds": [fold.facts for fold in folds],
        },
    )
    result(table)
    result(line)
    say(f"out-of-fold predictions: {config.out / 'predictions'}; checkpoints: {config.out / 'folds'}/*/last")


def _table(folds: Sequence[CellResult]) -> str:
    heads = ["fold", "videos", "frames", folds[0].measure.name, "with face", "accuracy", "s in steps"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for number, fold in enumerate(folds):
        with_face, accuracy = ("–" if each is None else f"{each:.4f}" for each in (fold.score_with_face, fold.accuracy))
        lines.append(
            f"| {number} | {len(fold.videos)} | {fold.num_frames} | {fold.score:.4f} | {with_face} "
            f"| {accuracy} | {fold.step_seconds:.1f} |"
        )
    return "\n".join(lines) + "\n"
