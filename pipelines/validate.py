"""`abaw validate`: predictions + annotations -> report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from abaw.core.errors import AbawError, DataError
from pipelines.batch import finish_batch
from pipelines.console import progress, result, warn

if TYPE_CHECKING:
    from abaw.evaluation.metrics import ScoredVideo, Scores
    from abaw.evaluation.result import Result
    from abaw.protocol.annotations import Annotation
    from abaw.sequence.smooth import Smoothing
    from abaw.stores.predictions import Predictions

_LISTED = 8


@dataclass(frozen=True, kw_only=True)
class ValidateConfig:
    """Score predictions on the official validation split, in both conventions of the field.

    Args:
        predictions: folders of prediction stores (`abaw predict`); several are compared side by side
        annotations: folder that holds Validation_Set, or the folder of the annotation files itself
        out: folder of the report
        smoothing: filter over the probabilities: none, or box:WIDTH with an odd number of frames
    """

    predictions: tuple[Path, ...]
    annotations: Path
    out: Path
    smoothing: str = "none"


def run(config: ValidateConfig) -> int:
    """Exit status: 1 when an annotation file or a store is at fault (the rest is scored), else 0.

    Raises DataError when no video has both annotations and predictions.
    """
    from abaw.evaluation.report import write_report
    from abaw.protocol.annotations import VALIDATION_SET, split_folder
    from abaw.sequence.smooth import parse_smoothing

    smoothing = parse_smoothing(config.smoothing)
    folder = split_folder(config.annotations, VALIDATION_SET)
    failures: list[str] = []
    annotations = _read_annotations(folder, failures)
    names = _short_names(config.predictions)
    results = [
        _score(path, name, annotations, smoothing, failures)
        for path, name in zip(config.predictions, names, strict=True)
    ]
    page = write_report(config.out, results, str(folder))
    for scored in results:
        _tell(scored)
    result(f"report: {page}")
    return finish_batch(sum(len(scored.evaluation.videos) for scored in results), failures)


def _read_annotations(folder: Path, failures: list[str]) -> dict[str, Annotation]:
    """By name; a file at fault is noted and the others are read."""
    from abaw.protocol.annotations import read_annotation

    files = sorted(folder.glob("*.txt"))
    if not files:
        raise DataError(f"{folder}: no annotation file (*.txt) there; give the folder that holds <video>.txt")
    annotations = {}
    for file in files:
        try:
            annotations[file.stem] = read_annotation(file)
        except AbawError as error:
            failures.append(str(error))
    return annotations


def _short_names(paths: Sequence[Path]) -> list[str]:
    """The folders' names, or where two are equal the whole paths as one word."""
    names = [path.resolve().name for path in paths]
    if len(set(names)) == len(names):
        return names
    return ["_".join(part for part in path.resolve().parts if part != path.anchor) for path in paths]


def _score(
    path: Path, name: str, annotations: Mapping[str, Annotation], smoothing: Smoothing, failures: list[str]
) -> Result:
    from abaw.evaluation.metrics import evaluate
    from abaw.evaluation.result import Result
    from abaw.stores.arrow import find_stores
    from abaw.stores.predictions import read_predictions

    stores = {store.stem: store for store in find_stores([path])}
    matched = sorted(stores.keys() & annotations.keys())
    if not matched:
        raise DataError(
            f"{path}: none of its {len(stores)} videos ({_some(sorted(stores))}) has annotations; "
            f"annotated are {_some(sorted(annotations))}; give predictions of the validation videos"
        )
    videos: list[ScoredVideo] = []
    facts: dict[str, Any] = {}
    notes, lengths = _unmatched(stores, annotations), list[str]()
    with progress(f"{name}: scoring", "videos") as hook:
        for done, video in enumerate(matched, start=1):
            try:
                predictions = read_predictions(stores[video])
                scored, differences = _match(predictions, annotations[video], smoothing)
            except AbawError as error:
                failures.append(f"{name}: {error}")
                continue
            videos.append(scored)
            lengths += differences
            if not predictions.predicted.any():
                notes.append(f"{video}: no frame was predicted; all count as the first class")
            facts = facts or _facts(predictions)
            hook(done, len(matched))
    if not videos:
        raise DataError(f"{path}: not one of its videos could be scored: {'; '.join(failures)}")
    return Result(name, str(path), str(smoothing), evaluate(videos), facts, tuple(notes), tuple(lengths))


def _match(predictions: Predictions, annotation: Annotation, smoothing: Smoothing) -> tuple[ScoredVideo, list[str]]:
    """The frames that have both a label line and a prediction row, and what is left over on either side."""
    from abaw.evaluation.metrics import ScoredVideo
    from abaw.inference.decode import decode

    decoded = decode(predictions, smoothing)
    shared = min(len(annotation.labels), len(predictions))
    notes = []
    if len(annotation.labels) > shared:
        behind = annotation.labels[shared:]
        notes.append(
            f"{annotation.name}: {len(behind)} label lines behind its {shared} predicted frames are not scored "
            f"({int((behind >= 0).sum())} of them annotated)"
        )
    if len(predictions) > shared:
        notes.append(f"{annotation.name}: its last {len(predictions) - shared} frames have no label line")
    scored = ScoredVideo(
        annotation.name, annotation.labels[:shared], decoded.labels[:shared], predictions.valid[:shared]
    )
    return scored, notes


def _unmatched(predicted: Iterable[str], annotated: Iterable[str]) -> list[str]:
    notes = []
    missing = sorted(set(annotated) - set(predicted))
    if missing:
        notes.append(
            f"not scored, because there are no predictions: {len(missing)} annotated videos ({_some(missing)})"
        )
    others = sorted(set(predicted) - set(annotated))
    if others:
        notes.append(f"not scored, because they are not annotated: {len(others)} videos ({_some(others)})")
    return notes


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _facts(predictions: Predictions) -> dict[str, Any]:
    """Provenance that all videos of a predictions folder share."""
    return {key: predictions.meta[key] for key in ("tool", "backbone", "checkpoints") if key in predictions.meta}


def _tell(scored: Result) -> None:
    evaluation = scored.evaluation
    for note in scored.notes:
        warn(f"{scored.name}: {note}")
    if scored.differences:
        warn(
            f"{scored.name}: label lines and frames differ in number in {len(scored.differences)} videos; "
            "the frames that have both are scored, the report lists the others"
        )
    result(
        f"{scored.name}: macro F1 {evaluation.all_frames.macro_f1:.4f} over all {evaluation.all_frames.num_frames} "
        f"annotated frames, {_with_face(evaluation.with_face)}; accuracy {evaluation.all_frames.accuracy:.4f}; "
        f"{len(evaluation.videos)} videos, smoothing {scored.smoothing}"
    )


def _with_face(scores: Scores | None) -> str:
    return f"{scores.macro_f1:.4f} over the {scores.num_frames} with a face" if scores else "none of them with a face"
