"""metrics.json: the figures of a report for programs. Unknown values are null."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from abaw.core.artifacts import provenance
from abaw.evaluation.action_units import FittedThresholds
from abaw.evaluation.bootstrap import Difference, Interval
from abaw.evaluation.calibration import Calibration
from abaw.evaluation.metrics import Scores
from abaw.evaluation.multitask import TaskScores
from abaw.evaluation.origin import Origin
from abaw.evaluation.result import BestOption, Comparison, Result, ScoredPredictions, TaskResult
from abaw.protocol.classes import ACTION_UNITS, EXPRESSION_CLASSES


def metrics_json(
    results: Sequence[Result | TaskResult], annotations: str, comparison: Comparison | None
) -> dict[str, Any]:
    """All figures of a report."""
    return {
        **provenance(annotations=annotations),
        "results": [_result(result) if isinstance(result, Result) else _task_result(result) for result in results],
        "comparison": _comparison(comparison) if comparison else None,
    }


def _result(result: Result) -> dict[str, Any]:
    evaluation, intervals = result.evaluation, result.intervals
    with_face, option = evaluation.with_face, result.option
    return {
        **_head(result, option.smoothing),
        "class_bias": None if option.class_bias is None else option.class_bias.tolist(),
        "num_frames": evaluation.all_frames.num_frames,
        "num_frames_with_face": with_face.num_frames if with_face else 0,
        "macro_f1": evaluation.all_frames.macro_f1,
        "macro_f1_interval": _interval(intervals.macro_f1),
        "macro_f1_with_face": with_face.macro_f1 if with_face else None,
        "macro_f1_with_face_interval": _interval(intervals.macro_f1_with_face),
        "accuracy": evaluation.all_frames.accuracy,
        "bootstrap_draws": intervals.draws,
        "per_class": _per_class(evaluation.all_frames, intervals.per_class),
        "per_class_with_face": _per_class(with_face) if with_face else None,
        "calibration": _calibration(option.calibration) if option.calibration else None,
        "tasks": _tasks(result.tasks) if result.tasks else None,
        **_tail(result),
    }


def _task_result(result: TaskResult) -> dict[str, Any]:
    """A result without expression."""
    return {
        **_head(result, result.smoothing),
        "bootstrap_draws": result.draws,
        "tasks": _tasks(result.tasks),
        **_tail(result),
    }


def _head(result: ScoredPredictions[Any], smoothing: str) -> dict[str, Any]:
    return {
        "name": result.name,
        "predictions": result.source,
        "smoothing": smoothing,
        "num_videos": result.num_videos,
        "optimistic": result.optimistic,
    }


def _tail(result: ScoredPredictions[Any]) -> dict[str, Any]:
    return {
        "choice": _choice(result.choice) if result.choice else None,
        "origin": _origin(result.origin),
        "facts": dict(result.facts),
        "notes": [*result.origin.warnings(), *result.notes],
        "length_differences": list(result.differences),
    }


def _interval(interval: Interval | None) -> list[float] | None:
    return interval.ends if interval else None


def _per_class(scores: Scores, intervals: Sequence[Interval] = ()) -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = {
        name: {"f1": score.f1, "precision": score.precision, "recall": score.recall, "frames": score.support}
        for name, score in zip(EXPRESSION_CLASSES, scores.per_class, strict=True)
    }
    for name, interval in zip(EXPRESSION_CLASSES, intervals, strict=False):
        entries[name]["f1_interval"] = _interval(interval)
    return entries


def _calibration(calibration: Calibration) -> dict[str, Any]:
    return {
        "frames": calibration.num_frames,
        "ece": calibration.ece,
        "nll": calibration.nll,
        "brier": calibration.brier_score,
        "mean_confidence": calibration.mean_confidence,
        "accuracy": calibration.accuracy,
        "bins": {
            "frames": calibration.frames.astype(int).tolist(),
            "confidence_sum": calibration.confidence.tolist(),
            "right": calibration.hits.astype(int).tolist(),
        },
    }


def _choice(choice: BestOption) -> dict[str, Any]:
    """A choice made on the scored videos. honest_*: the unbiased estimate, null with too few videos."""
    selection, measure = choice.selection, choice.measure
    return {
        "measure": measure.name,
        "num_videos": choice.num_videos,
        "options": [
            {
                "name": label,
                measure.key: score,
                "interval": _interval(interval),
                "against_first": _difference(difference),
            }
            for label, score, interval, difference in zip(
                choice.labels, choice.scores, choice.intervals, choice.differences, strict=True
            )
        ],
        "best": choice.labels[choice.best],
        f"optimistic_{measure.short}": choice.optimistic_score,
        f"honest_{measure.short}": selection.nested_f1 if selection else None,
        "honest_interval": _interval(choice.nested_interval),
        "chosen_by_fold": [choice.labels[option] for option in selection.chosen] if selection else None,
    }


def _difference(difference: Difference | None) -> dict[str, Any] | None:
    if difference is None:
        return None
    return {
        "difference": difference.observed,
        "interval": _interval(difference.interval),
        "share_better": 1 - difference.share_not_better,
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "rows": _choice(comparison.rows) if comparison.rows else None,
        "best_of_all": _choice(comparison.overall) if comparison.overall else None,
        "notes": list(comparison.notes),
    }


def _tasks(tasks: TaskScores) -> dict[str, Any]:
    ccc = dict(zip(("valence", "arousal", "mean"), tasks.ccc, strict=True)) if tasks.ccc else {}
    units = dict(zip(ACTION_UNITS, tasks.action_units, strict=True)) if tasks.action_units else {}
    return {
        "ccc": {name: each.facts for name, each in ccc.items()} or None,
        "num_frames_valence_arousal": tasks.num_valence_arousal,
        "action_units_f1": {name: each.facts for name, each in units.items()} or None,
        "mean_action_units_f1": tasks.mean_action_units.facts if tasks.mean_action_units else None,
        "num_frames_action_units": tasks.num_action_units,
        "sum": tasks.total.facts if tasks.total else None,
        **({"thresholds": _thresholds(tasks.thresholds)} if tasks.thresholds else {}),
    }


def _thresholds(found: FittedThresholds) -> dict[str, Any]:
    """Chosen on the scored videos. nested: the mean F1 by nested selection, null with too few videos."""
    return {
        "smoothing": found.smoothing,
        "values": dict(zip(ACTION_UNITS, found.values, strict=True)),
        "optimistic": True,
        "action_units_f1": {name: each.facts for name, each in zip(ACTION_UNITS, found.action_units, strict=True)},
        "mean_action_units_f1": found.mean.facts,
        "nested_mean_action_units_f1": found.nested.facts if found.nested else None,
    }


def _origin(origin: Origin) -> dict[str, Any]:
    return {
        "out_of_fold": origin.out_of_fold,
        "num_trainings": origin.num_trainings,
        "trained_on": list(origin.trained_on),
        "selected_on": list(origin.selected_on),
        "weights_chosen_on": list(origin.weights_chosen_on),
        "smoothing_chosen_on": list(origin.smoothing_chosen_on),
        "unknown": list(origin.unknown),
        "smoothings_unknown": list(origin.smoothings_unknown),
    }
