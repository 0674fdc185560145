"""The report folder of a validation: metrics.json, CSV tables, figures, and a page with all of it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.core.artifacts import read_json, storage_errors, write_bytes, write_json, write_text
from abaw.core.errors import DataError
from abaw.core.folders import is_system_file
from abaw.core.text import csv_text
from abaw.evaluation.figures import calibration_png, confusion_png
from abaw.evaluation.metrics import VideoScore
from abaw.evaluation.multitask import video_task_scores
from abaw.evaluation.page import Pictures, render_page
from abaw.evaluation.report_json import metrics_json
from abaw.evaluation.result import Comparison, Result, TaskOption, TaskResult
from abaw.page.parts import address
from abaw.protocol.classes import ACTION_UNITS, EXPRESSION_CLASSES
from abaw.sequence.smooth import Smoothing
from abaw.sequence.smoothing_file import write_smoothing

PAGE = "index.html"
METRICS = "metrics.json"
THRESHOLDS = "thresholds.json"
SMOOTHING = "smoothing.json"
PER_CLASS, PER_VIDEO, CONFUSION = "per_class.csv", "per_video.csv", "confusion.csv"
CONFUSION_FIGURE, CALIBRATION_FIGURE = "confusion.png", "calibration.png"
_OF_A_RESULT = (THRESHOLDS, SMOOTHING, PER_CLASS, PER_VIDEO, CONFUSION, CONFUSION_FIGURE, CALIBRATION_FIGURE)


def write_report(
    folder: Path,
    results: Sequence[Result | TaskResult],
    annotations: str,
    comparison: Comparison | None = None,
    viewers: Path | None = None,
) -> Path:
    """Write the report of one or several results and return the path of its page.

    metrics.json and index.html cover all results. per_class.csv, per_video.csv, confusion.csv, confusion.png and
    calibration.png are next to them for one result, otherwise in one folder per result, of its name; a result without
    expression has only per_video.csv of these. smoothing.json is the smoothing whose figures are reported, for
    `read_smoothing`. thresholds.json is there if thresholds of action units were fitted. viewers: a folder with pages
    on single videos (<video>.html) that the table of videos links to. An older report is removed first, so that none
    of its files is taken for one of the new results. Raises DataError when the folder holds something else, or when two
    results have the same name.
    """
    names = [result.name for result in results]
    if len(set(names)) < len(names):
        raise DataError(f"two results have the same name: {', '.join(names)}")
    if folder.is_dir() and any(folder.iterdir()):
        _remove_older(folder)
    # Written first: it marks the folder as a report even if the process is killed before the end.
    write_json(folder / METRICS, metrics_json(results, annotations, comparison))
    pictures = {}
    for result in results:
        place = folder if len(results) == 1 else folder / result.name
        if result.tasks and result.tasks.thresholds:
            write_json(place / THRESHOLDS, dict(zip(ACTION_UNITS, result.tasks.thresholds.values, strict=True)))
        if not isinstance(result, Result):
            write_text(place / PER_VIDEO, csv_text(_task_video_rows(result.option)))
            continue
        if result.option.decoding is not None:
            facts = {"predictions": result.source, "chosen_on": annotations if result.choice else None}
            smoothing = _with_videos(result.option.decoding, result)
            write_smoothing(place / SMOOTHING, smoothing, EXPRESSION_CLASSES, **facts)
        images = pictures[result.name] = _draw(result)
        write_text(place / PER_CLASS, csv_text(_class_rows(result)))
        write_text(place / PER_VIDEO, csv_text(_video_rows(result.evaluation.videos)))
        write_text(place / CONFUSION, csv_text(_confusion_rows(result.evaluation.all_frames.confusion)))
        write_bytes(place / CONFUSION_FIGURE, images.confusion)
        if images.calibration is not None:
            write_bytes(place / CALIBRATION_FIGURE, images.calibration)
    write_text(folder / PAGE, render_page(results, annotations, pictures, comparison, _links(folder, viewers)))
    return folder / PAGE


def _with_videos(smoothing: Smoothing, result: Result) -> Smoothing:
    """With the scored videos among those on which it was chosen, if it was chosen here."""
    if result.choice is None:
        return smoothing
    return replace(smoothing, chosen_on=tuple(sorted({*(smoothing.chosen_on or ()), *result.option.names})))


def _remove_older(folder: Path) -> None:
    """Remove the files of an older report but metrics.json, which marks the folder as a report until it is replaced."""
    places = [folder, *(folder / name for name in _older_names(folder))]
    with storage_errors(folder):
        for path in (folder / PAGE, *(place / name for place in places for name in _OF_A_RESULT)):
            path.unlink(missing_ok=True)
        for place in places[1:]:
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()


def _older_names(folder: Path) -> list[str]:
    """The results of the report in a folder. Raises DataError when there is something else."""
    remedy = "choose another --out"
    if not (folder / METRICS).exists():
        raise DataError(f"{folder}: is not empty and holds no report (no {METRICS}); {remedy}")
    match read_json(folder / METRICS):
        case {"results": [*results]} if all(isinstance(each, dict) and "name" in each for each in results):
            return [str(each["name"]) for each in results]
    raise DataError(f"{folder}: is not empty, and its {METRICS} is not that of a report; {remedy}")


def _links(folder: Path, viewers: Path | None) -> dict[str, str]:
    """Links from `folder` to the pages in `viewers`, by the names of their videos."""
    pages = [] if viewers is None else sorted(page for page in viewers.glob("*.html") if not is_system_file(page.name))
    base = folder.resolve()
    return {page.stem: address(os.path.relpath(page.resolve(), base)) for page in pages}


def _draw(result: Result) -> Pictures:
    confusion, calibration = result.evaluation.all_frames.confusion, result.option.calibration
    return Pictures(
        confusion_png(confusion, EXPRESSION_CLASSES, f"{result.name}: % of frames"),
        calibration_png(calibration, result.name) if calibration else None,
    )


def _class_rows(result: Result) -> list[list[Any]]:
    """Intervals are given only for all annotated frames."""
    rows: list[list[Any]] = [["frames", "class", "f1", "f1_low", "f1_high", "precision", "recall", "support"]]
    for convention, scores in (("all", result.evaluation.all_frames), ("with_face", result.evaluation.with_face)):
        if scores is None:
            continue
        for name, item, known in zip(EXPRESSION_CLASSES, scores.per_class, result.intervals.per_class, strict=True):
            ends = [_field(known.low), _field(known.high)] if convention == "all" else ["", ""]
            rows.append(
                [convention, name, _field(item.f1), *ends, _field(item.precision), _field(item.recall), item.support]
            )
    return rows


def _video_rows(videos: Iterable[VideoScore]) -> list[list[Any]]:
    header = ["video", "frames", "frames_with_face", "classes", "macro_f1", "macro_f1_with_face", "accuracy"]
    return [
        header,
        *(
            [video.name, video.num_frames, video.num_frames_with_face, video.num_classes]
            + [_field(value) for value in (video.macro_f1, video.macro_f1_with_face, video.accuracy)]
            for video in videos
        ),
    ]


def _task_video_rows(option: TaskOption) -> list[list[Any]]:
    header = ["video", "frames_valence_arousal", "ccc_valence", "ccc_arousal"]
    header += ["frames_action_units", "units_on", "mean_action_units_f1"]
    return [
        header,
        *(
            [score.name, score.num_values, *map(_field, score.ccc), score.num_units, score.num_on]
            + [_field(score.mean_unit_f1)]
            for score in video_task_scores(option.names, option.tallies)
        ),
    ]


def _confusion_rows(confusion: NDArray[np.int64]) -> list[list[Any]]:
    """Rows annotated, columns predicted."""
    rows = [[name, *counts] for name, counts in zip(EXPRESSION_CLASSES, confusion.tolist(), strict=True)]
    return [["annotated", *EXPRESSION_CLASSES], *rows]


def _field(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6f}"
