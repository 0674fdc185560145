"""`abaw validate`: predictions + annotations -> report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from abaw.core.errors import ConfigError, DataError
from pipelines.console import progress, result
from pipelines.inputs import InputPath, short_names
from pipelines.items import finish_items
from pipelines.smoothing import is_file, read_smoothings

if TYPE_CHECKING:
    from abaw.evaluation.multitask import TaskTally
    from abaw.evaluation.result import Comparison, Option, Result, TaskResult
    from abaw.evaluation.scored_labels import ScoredLabels
    from abaw.evaluation.scoring import StoreScores
    from abaw.sequence.smooth import Smoothing

_FEWEST_DRAWS = 100
_FEW_VIDEOS = 10


@dataclass(frozen=True, kw_only=True)
class ValidateConfig:
    """Score predictions on annotated videos, in both conventions of the field, with confidence intervals.

    Args:
        predictions: folders of prediction stores (`abaw predict`); several are compared with each other
        annotations: folder with Train_Set and Validation_Set, or the folder of the annotation files itself
        out: folder of the report
        smoothing: filters of the probabilities: none, box:WIDTH, median:WIDTH, gaussian:SIGMA (in frames, or in seconds
            as in gaussian:0.4s), viterbi[:WEIGHT], forward_backward[:WEIGHT], or the smoothing.json of a report;
            several are compared, and the report marks that the best one was chosen
        fit_bias: fit a bias per class for each smoothing, for viterbi and forward_backward together with WEIGHT, and
            mark that it was chosen
        fit_thresholds: fit a threshold per action unit, write it to thresholds.json, and mark that it was chosen
        transitions: annotations from whose Train_Set viterbi and forward_backward count how classes follow each other
        transitions_fps: frame rate of these annotations, by default the median of the predictions'
        split: annotated videos that are scored; both is for out-of-fold predictions
        draws: draws of the bootstrap over videos
        viewers: folder of `abaw predict-video` for these videos; the report's table of videos links to its pages

    Examples:
        abaw validate --predictions predictions/ --annotations annotations/ --out report/
        abaw validate --predictions predictions/ --annotations annotations/ --smoothing none gaussian:12 --out report/
        abaw validate --predictions static/ temporal/ --annotations annotations/ --out report/
    """

    predictions: tuple[InputPath, ...]
    annotations: InputPath
    out: Path
    smoothing: tuple[str, ...] = ("none",)
    fit_bias: bool = False
    fit_thresholds: bool = False
    transitions: InputPath | None = None
    transitions_fps: float | None = None
    split: Literal["validation", "train", "both"] = "validation"
    draws: int = 1000
    viewers: InputPath | None = None


def run(config: ValidateConfig) -> int:
    """Exit status: 1 when an annotation file or a store is at fault (the rest is scored), else 0.

    Raises DataError when no video has both annotations and predictions.
    """
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.evaluation.report import write_report
    from abaw.evaluation.scored_labels import read_scored_labels
    from abaw.evaluation.scoring import score_store
    from abaw.evaluation.task_result import task_result
    from abaw.protocol.annotations import SPLITS
    from pipelines.validate.messages import print_result, print_task_result

    if config.draws < _FEWEST_DRAWS:
        raise ConfigError(f"draws {config.draws}: expected {_FEWEST_DRAWS} or more; fewer give no 95 % interval")
    if config.viewers is not None and not any(config.viewers.glob("*.html")):
        raise ConfigError(f"viewers {config.viewers}: no page (*.html) in it; give the --out of `abaw predict-video`")
    tasks = _predicted_tasks(config.predictions)
    _require_settings(config, tasks)
    smoothings, counted_on = read_smoothings(
        config.smoothing, config.transitions, config.transitions_fps, config.predictions
    )
    failures: list[str] = []
    labels = read_scored_labels(config.annotations, SPLITS[config.split], tasks, failures)
    names = short_names(config.predictions)
    found = []
    for path, name in zip(config.predictions, names, strict=True):
        with progress(f"{name}: scoring", "videos") as hook:
            found.append(
                score_store(path, name, labels, smoothings, failures, hook, fit_thresholds=config.fit_thresholds)
            )
    # The same for all predictions.
    folds = labels.folds({name for one in found for name in one.scored})
    places = ", ".join(map(str, labels.places))
    num_videos = sum(len(one.scored) for one in found)
    if "expression" not in tasks:
        scores = [task_result(one, folds, config.draws, _notes(one, smoothings, counted_on, 0)) for one in found]
        compared = _compare(scores, folds, config.draws)
        page = write_report(config.out, scores, places, compared, config.viewers)
        for each in scores:
            print_task_result(each)
        return _finish(page, compared, scores, num_videos, failures)
    results = [_result(one, smoothings, labels, folds, counted_on, config) for one in found]
    comparison = _compare(results, folds, config.draws)
    page = write_report(config.out, results, places, comparison, config.viewers)
    for scored in results:
        print_result(scored)
    return _finish(page, comparison, results, num_videos, failures)


def _finish(
    page: Path,
    comparison: Comparison | None,
    results: Sequence[Result | TaskResult],
    num_videos: int,
    failures: Sequence[str],
) -> int:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from pipelines.validate.messages import print_comparison

    if comparison:
        print_comparison(comparison, any(scored.leaked for scored in results))
    result(f"report: {page}")
    return finish_items(num_videos, failures)


def _require_settings(config: ValidateConfig, tasks: Sequence[str]) -> None:
    """Raise ConfigError for a setting that needs a task which the predictions do not have."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.sequence.smooth import needs_transitions

    if config.fit_thresholds and "action_units" not in tasks:
        raise ConfigError("--fit_thresholds is for action units, which the predictions do not have; leave it out")
    if "expression" in tasks:
        return
    if config.fit_bias:
        raise ConfigError("--fit_bias is for expression, which the predictions do not have; leave it out")
    if any(needs_transitions(text) or is_file(text) for text in config.smoothing):
        raise ConfigError(
            "viterbi, forward_backward and smoothing files are for classes, which the predictions do not have; use "
            "box, median or gaussian"
        )


def _predicted_tasks(predictions: Sequence[Path]) -> list[str]:
    """The predicted tasks, by each folder's first store.

    Raises ConfigError when only some of the folders have expression.
    """
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.protocol.classes import TASKS
    from abaw.stores.arrow import StoreError, find_stores
    from abaw.stores.predictions import predicted_tasks

    found: dict[Path, tuple[str, ...]] = {}
    for path in predictions:
        with suppress(StoreError):  # reported when the folder is scored
            found[path] = predicted_tasks(find_stores([path])[0])
    tasks = {task for of_path in found.values() for task in of_path} or {"expression"}
    without = [path for path, of_path in found.items() if "expression" not in of_path]
    if without and "expression" in tasks:
        raise ConfigError(f"{without[0]}: these predictions have no expression, the others have; score them separately")
    return [task for task in TASKS if task in tasks]


def _result(
    found: StoreScores,
    smoothings: Sequence[Smoothing],
    labels: ScoredLabels,
    folds: Mapping[str, int],
    counted_on: set[str],
    config: ValidateConfig,
) -> Result:
    # Loaded on use: `--help` and wrong usage are answered without it.
    import numpy as np

    from abaw.evaluation.bootstrap import video_groups
    from abaw.evaluation.compare import compare_options, score_intervals
    from abaw.evaluation.multitask import score_tasks
    from abaw.evaluation.origin import origin_of
    from abaw.evaluation.result import Result
    from abaw.evaluation.task_result import with_thresholds

    options, tasks, stride = _options(found, smoothings, labels, folds, config.fit_bias)
    choice = (
        compare_options([(option.label, option) for option in options], folds, config.draws)
        if len(options) > 1
        else None
    )
    best = choice.best if choice else 0
    evaluation = options[best].evaluation
    groups = video_groups(options[best].names)
    scores = score_tasks(tasks[best], evaluation.confusions, groups, config.draws) if tasks[best] else None
    if scores is None and config.fit_thresholds:
        raise DataError(f"{found.path}: no frame is annotated with action units: there is no threshold to fit")
    if scores is not None:
        of_video = np.array([folds[name] for name in options[best].names])
        scores = with_thresholds(scores, [tasks[best]], [options[best].label], of_video, groups, config.draws)
    return Result(
        name=found.name,
        source=str(found.path),
        options=tuple(options),
        intervals=score_intervals(evaluation, config.draws),
        origin=origin_of(found.metas, smoothings),
        choice=choice,
        tasks=scores,
        facts=found.facts,
        notes=(*found.notes, *_notes(found, smoothings, counted_on, stride)),
        differences=tuple(found.differences),
    )


def _options(
    found: StoreScores,
    smoothings: Sequence[Smoothing],
    labels: ScoredLabels,
    folds: Mapping[str, int],
    fit_bias: bool,
) -> tuple[list[Option], list[list[TaskTally]], int]:
    """Every smoothing without and then with a class bias; their other tasks; the stride of the fitted frames."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.evaluation.scoring import fitted_option

    options = [tallies.option() for tallies in found.tallies]
    tasks = [tallies.tasks for tallies in found.tallies]
    strides = [0]
    for smoothing in _to_fit(smoothings) if fit_bias else ():
        with progress(f"{found.name}: fitting a class bias for {smoothing}", "videos") as hook:
            option, of_option, stride = fitted_option(found, smoothing, labels, folds, hook)
        options.append(replace(option, refitted=option.label in {each.label for each in options}))
        tasks.append(of_option)
        strides.append(stride)
    return options, tasks, max(strides)


def _to_fit(smoothings: Sequence[Smoothing]) -> list[Smoothing]:
    """Each filter without its bias, and each pass once, as its WEIGHT is fitted."""
    passes = {smoothing.name: smoothing for smoothing in smoothings if smoothing.needs_transitions}
    filters = (smoothing.without_bias() for smoothing in smoothings if not smoothing.needs_transitions)
    return [*dict.fromkeys(filters), *passes.values()]


def _notes(found: StoreScores, smoothings: Sequence[Smoothing], counted_on: set[str], stride: int) -> list[str]:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.evaluation.bootstrap import video_groups

    notes = []
    num_videos = len(set(video_groups(found.scored)))
    if num_videos < _FEW_VIDEOS:
        notes.append(f"{num_videos} videos are too few for a bootstrap over videos: the intervals are too narrow")
    if stride > 1:
        notes.append(f"the class bias is fitted on one annotated frame in {stride}, and scored on all")
    counted = set(video_groups(sorted(counted_on)))
    both = [video for video in video_groups(found.scored) if video in counted]
    if both:
        notes.append(
            f"the transitions were counted on {len(both)} of the scored videos; the gain of viterbi and "
            "forward_backward is slightly too high"
        )
    notes += [
        f"the file of smoothing '{smoothing}' does not say on which videos its transitions were counted"
        for smoothing in smoothings
        if smoothing.counted_on is None
    ]
    return notes


def _compare(results: Sequence[Result | TaskResult], folds: Mapping[str, int], draws: int) -> Comparison | None:
    """The comparison on the videos that all have; None for one set of predictions."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.evaluation.compare import compare

    return compare(results, folds, draws) if len(results) > 1 else None
