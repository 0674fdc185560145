"""Cells: training runs with videos set apart for each, which it predicts and is scored on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
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
    from abaw.evaluation.metrics import VideoTally

_CELL = "cell.json"


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

    macro_f1: over all annotated frames; macro_f1_with_face: over those with a face, None when there is none.
    step_seconds: of the training steps with their batches; evaluation_seconds: of scoring, while training and at the
    end; total_seconds: wall time of the cell, None when it was interrupted. videos: V names; confusions: (V, C, C)
    frame counts over all annotated frames, rows annotated. threads, instruction_set: see Processor, None in cells of
    earlier versions.
    """

    macro_f1: float
    macro_f1_with_face: float | None
    accuracy: float
    parameters: int
    step_seconds: float
    evaluation_seconds: float
    total_seconds: float | None
    videos: tuple[str, ...]
    confusions: NDArray[np.int64]
    threads: int | None = None
    instruction_set: str | None = None


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
    """Own the run folder of these settings and labels, and put the videos where every worker has them.

    defaults: the values of settings that a run of an earlier version lacks. Raises ConfigError when the folder holds a
    run with other settings or labels, RunLockedError when another process owns it.
    """
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.run_folder import RunFolder

    labels = {"training": training.fingerprint(), "validation": validation.fingerprint()}
    with RunFolder(out, {**settings, "backbone": training.backbone, "labels": labels}, defaults):
        yield Splits(
            Shared(replace(training, clips=(*training.clips, *validation.clips)), out),
            tuple(clip.name for clip in training.clips),
            tuple(clip.name for clip in validation.clips),
        )


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
    return f"macro F1 {result.macro_f1:.4f}{seconds}"


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
    tallies, parameters = _predict(cell, scored)
    ended = time.perf_counter()
    result = _result(
        tallies,
        parameters=parameters,
        step_seconds=trained.step_seconds,
        evaluation_seconds=trained.evaluation_seconds + ended - scoring,
        total_seconds=None if interrupted else ended - begun,
        **vars(processor()),
    )
    write_json(cell.file, _plain(result))
    return result


def _predict(cell: Cell, clips: ClipSet) -> tuple[list[VideoTally], int]:
    """Predict with the last checkpoint, which no score has chosen: stores, frame counts, and its number of weights."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    import numpy as np

    from abaw.evaluation.metrics import ScoredVideo, tally
    from abaw.inference.devices import choose_device
    from abaw.inference.predict import predict_clips
    from abaw.models.temporal import load_temporal
    from abaw.stores.predictions import write_predictions
    from abaw.training.loop import LAST

    model, spec = load_temporal(cell.folder / LAST)
    model = model.to(choose_device(cell.recipe.train.accelerator))
    tallies = []
    for clip, predictions in zip(clips.clips, predict_clips(model, spec, clips.clips), strict=True):
        write_predictions(cell.predictions / f"{clip.name}.arrow", predictions)
        predicted = predictions.probs.argmax(axis=1).astype(np.int8)
        tallies.append(tally(ScoredVideo(clip.name, clip.labels, predicted, clip.face)))
    return tallies, sum(weight.numel() for weight in model.parameters())


def _result(tallies: Sequence[VideoTally], **facts: Any) -> CellResult:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.evaluation.metrics import evaluate_tallies

    scores = evaluate_tallies(tallies)
    return CellResult(
        macro_f1=scores.all_frames.macro_f1,
        macro_f1_with_face=scores.with_face.macro_f1 if scores.with_face else None,
        accuracy=scores.all_frames.accuracy,
        videos=tuple(video.name for video in tallies),
        confusions=scores.confusions,
        **facts,
    )


def _plain(result: CellResult) -> dict[str, Any]:
    return {**vars(result), "videos": list(result.videos), "confusions": result.confusions.tolist()}


def _read(path: Path) -> CellResult:
    # Loaded on use: `--help` and wrong usage are answered without it.
    import numpy as np

    from abaw.core.artifacts import read_json

    try:
        values = read_json(path)
        confusions = np.asarray(values["confusions"], dtype=np.int64)
        return CellResult(**{**values, "videos": tuple(values["videos"]), "confusions": confusions})
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{path}: not a cell of this version ({error}); choose another --out") from error
