"""Cells: training runs with videos set apart for each, which it predicts and is scored on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from abaw.core.errors import DataError
from abaw.core.progress import Progress
from abaw.core.text import listed
from abaw.engine.shared_value import Shared
from abaw.training.settings import TrainSettings
from abaw.training.temporal_recipe import TemporalRecipe
from pipelines.compare.runs import train_runs
from pipelines.engine_settings import EngineSettings
from pipelines.train_temporal import read_split

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from abaw.data.clips import ClipSet
    from abaw.evaluation.measures import Measure

_CELL = "cell.json"
_SUMS = "confusions"
"""The key of the sums of each video: confusion counts of expression, or what other measures need."""


@dataclass(frozen=True)
class Cell:
    """One run. folder: as train-temporal's; predictions: where the stores of the `scored` videos go."""

    name: str
    folder: Path
    predictions: Path
    window: int
    hop: int
    recipe: TemporalRecipe
    training: tuple[str, ...]
    scored: tuple[str, ...]

    @property
    def file(self) -> Path:
        return self.folder / _CELL

    @property
    def train(self) -> TrainSettings:
        return self.recipe.train


@dataclass(frozen=True, eq=False)
class CellResult:
    """What the last checkpoint of a cell scores on videos that it did not see.

    score: by the measure of the tasks (`measure_of`), over all annotated frames, num_frames of them; score_with_face:
    over those with a face, None when there is none; accuracy: of expression, None without.
    step_seconds: of the training steps with their batches; evaluation_seconds: of scoring, while training and at the
    end; total_seconds: wall time of the cell, None when it was interrupted. videos: V names; statistics: (V, …), the
    sums of the measure over all annotated frames. threads, instruction_set: see Processor, None in cells of earlier
    versions.
    """

    tasks: tuple[str, ...]
    score: float
    score_with_face: float | None
    accuracy: float | None
    num_frames: int
    parameters: int
    step_seconds: float
    evaluation_seconds: float
    total_seconds: float | None
    videos: tuple[str, ...]
    statistics: NDArray[np.number]
    threads: int | None = None
    instruction_set: str | None = None

    @property
    def measure(self) -> Measure:
        # Loaded on use: `--help` and wrong usage are answered without it.
        from abaw.evaluation.measures import measure_of

        return measure_of(self.tasks)

    @property
    def facts(self) -> dict[str, Any]:
        """All but the sums, under the names that files have."""
        key = self.measure.key
        named = {"score": key, "score_with_face": f"{key}_with_face"}
        plain = {named.get(name, name): value for name, value in vars(self).items() if name != "statistics"}
        return {**plain, "tasks": list(self.tasks), "videos": list(self.videos)}


@dataclass(frozen=True, eq=False)
class Splits:
    """The annotated videos of both official splits, in the memory of every worker. training, validation: names."""

    clips: Shared[ClipSet]
    training: tuple[str, ...]
    validation: tuple[str, ...]


def read_splits(features: Sequence[Path], annotations: Path, tasks: Sequence[str]) -> tuple[ClipSet, ClipSet]:
    """Train_Set and Validation_Set. Raises DataError when they share a video or two backbones made their features."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.protocol.annotations import TRAIN_SET, VALIDATION_SET

    training = read_split(features, annotations, TRAIN_SET, tasks)
    validation = read_split(features, annotations, VALIDATION_SET, tasks)
    _require_fit(training, validation)
    return training, validation


@contextmanager
def shared_in_run(
    training: ClipSet, validation: ClipSet, out: Path, settings: Mapping[str, Any], defaults: Mapping[str, Any]
) -> Iterator[Splits]:
    """Own the run folder of these settings, labels and features, and put the videos where every worker has them.

    defaults: the values of settings that a run of an earlier version lacks. Raises ConfigError when the folder holds a
    run with other settings, labels or features, RunLockedError when another process owns it.
    """
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.run_folder import RunFolder

    splits = {"training": training, "validation": validation}
    labels = {name: clips.fingerprint() for name, clips in splits.items()}
    features = {"features": {name: clips.features_fingerprint() for name, clips in splits.items()}}
    config = {**settings, "backbone": training.backbone, "labels": labels, **features}
    with RunFolder(out, config, {**defaults, **features}):  # a run of an earlier version did not record its features
        yield Splits(
            Shared(_joined(training, validation), out),
            tuple(clip.name for clip in training.clips),
            tuple(clip.name for clip in validation.clips),
        )


def _joined(training: ClipSet, validation: ClipSet) -> ClipSet:
    both = zip_longest(training.trained_on, validation.trained_on, fillvalue=())
    trained_on = tuple(tuple(sorted({*one, *other})) for one, other in both)
    return replace(training, clips=(*training.clips, *validation.clips), trained_on=trained_on)


def _require_fit(training: ClipSet, validation: ClipSet) -> None:
    both = sorted({clip.name for clip in training.clips} & {clip.name for clip in validation.clips})
    if both:
        raise DataError(
            f"{len(both)} videos are in Train_Set and in Validation_Set: {listed(both)}; give --annotations the "
            "folder that holds the two"
        )
    if training.sources != validation.sources:
        raise DataError(
            f"the features of Train_Set were made by backbone {training.backbone}, those of Validation_Set by "
            f"{validation.backbone}; write all of them with one checkpoint (`abaw features`)"
        )


def run_cells(
    cells: Sequence[Cell], clips: Shared[ClipSet], engine: EngineSettings, out: Path
) -> tuple[dict[str, CellResult], list[str]]:
    """Results by cell name, finished ones as a former run left them; and a line for every cell that failed."""
    # The longest ones first, so that no worker is left with one when the others are done.
    longest = sorted(cells, key=lambda cell: -cell.window * cell.recipe.learn.batch_size * cell.recipe.train.steps)
    results, failures = train_runs(longest, _TrainCells(clips), lambda cell: _read(cell.file), _line, engine, out)
    return {cell.name: results[cell.name] for cell in cells if cell.name in results}, failures


def _line(result: CellResult) -> str:
    seconds = "" if result.total_seconds is None else f", {result.total_seconds:.1f} s"
    return f"{result.measure.name} {result.score:.4f}{seconds}"


@dataclass(frozen=True, eq=False)
class _TrainCells:
    """What workers apply to cells."""

    clips: Shared[ClipSet]

    def set_up(self, threads: int | None) -> Callable[[Cell, Progress], CellResult]:
        return partial(_train_cell, self.clips.get())


def _train_cell(clips: ClipSet, cell: Cell, hook: Progress) -> CellResult:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.artifacts import write_json
    from abaw.inference.devices import processor
    from abaw.sequence.windows import Windows
    from abaw.training.loop import LAST
    from abaw.training.temporal import train_temporal

    begun = time.perf_counter()
    interrupted = (cell.folder / LAST).exists()
    by_name = {clip.name: clip for clip in clips.clips}
    training = clips.subset([by_name[name] for name in cell.training])
    trained = train_temporal(training, Windows(cell.window, cell.hop), cell.recipe, cell.folder, hook)
    scoring = time.perf_counter()
    scored = clips.subset([by_name[name] for name in cell.scored]).using(cell.recipe.sources)
    scores, parameters = _predict(cell, scored)
    ended = time.perf_counter()
    result = CellResult(
        **scores,
        parameters=parameters,
        step_seconds=trained.step_seconds,
        evaluation_seconds=trained.evaluation_seconds + ended - scoring,
        total_seconds=None if interrupted else ended - begun,
        videos=cell.scored,
        **vars(processor()),
    )
    write_json(cell.file, {**result.facts, _SUMS: result.statistics.tolist()})
    return result


def _predict(cell: Cell, clips: ClipSet) -> tuple[dict[str, Any], int]:
    """Predict with the last checkpoint, which no score has chosen: stores, the scores, and its number of weights."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.inference.decode import decode
    from abaw.inference.devices import choose_device
    from abaw.inference.predict import predict_clips
    from abaw.models.tasks import spec_tasks
    from abaw.models.temporal import load_temporal, on_windows
    from abaw.sequence.smooth import parse_smoothing
    from abaw.stores.predictions import write_predictions
    from abaw.training.loop import LAST
    from pipelines.compare.cell_scores import cell_scores

    model, spec = load_temporal(cell.folder / LAST)
    model = model.to(choose_device(cell.recipe.train.accelerator))
    pairs, unsmoothed = [], parse_smoothing("none")
    for clip, predictions in zip(clips.clips, predict_clips(on_windows(model), spec, clips.clips), strict=True):
        write_predictions(cell.predictions / f"{clip.name}.arrow", predictions)
        pairs.append((clip, decode(predictions, unsmoothed)))
    return cell_scores(spec_tasks(spec), pairs), sum(weight.numel() for weight in model.parameters())


def _read(path: Path) -> CellResult:
    # Loaded on use: `--help` and wrong usage are answered without it.
    import numpy as np

    from abaw.core.artifacts import read_json
    from abaw.evaluation.measures import measure_of

    try:
        values = read_json(path)
        # Cells of earlier versions are of expression.
        tasks = tuple(values.get("tasks", ("expression",)))
        key = measure_of(tasks).key
        sums = np.asarray(values.pop(_SUMS))
        score, with_face = values.pop(key), values.pop(f"{key}_with_face")
        values = {"num_frames": int(sums.sum()), **values, "tasks": tasks, "videos": tuple(values["videos"])}
        return CellResult(score=score, score_with_face=with_face, statistics=sums, **values)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{path}: not a cell of this version ({error}); choose another --out") from error
