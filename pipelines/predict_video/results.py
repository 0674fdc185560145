"""The results of one video after its predictions (tables, page, annotated video), and the index over several."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.core.artifacts import file_hash, provenance, quick_hash, read_json, value_hash, write_json, write_text
from abaw.core.errors import DataError
from abaw.core.folders import is_system_file, user_files
from abaw.core.progress import Progress
from abaw.inference.video import VideoPipeline, VideoPredictions
from abaw.page.parts import data_url
from abaw.protocol.annotations import read_annotation
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.protocol.layout import is_image
from abaw.sequence.smooth import Smoothing
from abaw.sequence.smoothing_file import smoothing_plain
from abaw.viewer.filmstrip import portrait
from abaw.viewer.index import VideoCard, read_card, render_index
from abaw.viewer.media import Keep, prepare_media
from abaw.viewer.page import Video, render_viewer
from abaw.viewer.person_timeline import PersonTimeline, read_timeline
from abaw.viewer.render import render_video
from abaw.viewer.tables import frames_csv, person_summary
from pipelines.items import Remarks

_KIND = "predict-video"
INDEX = "index.html"


@dataclass(frozen=True, slots=True)
class Presentation:
    """How results are shown. annotations: files by name; render: also an annotated video; video: see prepare_media."""

    smoothing: Smoothing
    annotations: Mapping[str, Path]
    render: bool
    video: Keep


def find_annotations(folder: Path) -> dict[str, Path]:
    """The annotation files in a folder and below it, by name. Raises DataError when there is none."""
    files = {path.stem: path for path in user_files(folder) if path.suffix.lower() == ".txt"}
    if not files:
        raise DataError(f"{folder}: no annotation file (*.txt) in it or below; check the path of --annotations")
    return files


@dataclass(frozen=True, slots=True)
class VideoResults:
    """Results in the folder `out`."""

    out: Path
    pipeline: VideoPipeline
    presentation: Presentation

    def make(self, path: Path, hook: Progress) -> Remarks:
        """Make all results of one video; returns a line on what was done. hook: counts frames, in each stage again.

        Raises DataError when the video cannot be read, or when other files have the names of results.
        """
        start = time.monotonic()
        summary_path, page_path = self.out / f"{path.stem}.json", self.out / f"{path.stem}.html"
        rendered = self.out / f"{path.stem}{'.png' if is_image(path) else '.mp4'}"
        fingerprint = self._fingerprint(path)
        before = _summary(summary_path)
        if before is not None and self._is_done(before, fingerprint, rendered):
            return Remarks("exists already")
        if before is None:
            _require_free(
                [
                    summary_path,
                    page_path,
                    self.out / f"{path.stem}.csv",
                    *([rendered] if self.presentation.render else []),
                ]
            )
        predicted = self.pipeline.run(path, lambda stage: nullcontext(hook))
        # Written first: it marks the files as results even if the process is killed before the end.
        unfinished = {**provenance(kind=_KIND), "video": path.stem, "files": (before or {}).get("files", [])}
        write_json(summary_path, unfinished)
        people = [
            self._person(faces, predictions)
            for faces, predictions in zip(predicted.faces, predicted.predictions, strict=True)
        ]
        meta = predicted.faces[0].meta
        files = [f"{person.name}.csv" for person in people]
        for person, file in zip(people, files, strict=True):
            write_text(self.out / file, frames_csv(person))
        video = Video(path.stem, path.name, meta["fps"], tuple(meta["frame_size_wh"]), self._settings())
        media = prepare_media(path, page_path, self.presentation.video, meta, hook)
        write_text(page_path, render_viewer(video, people, media))
        files.append(page_path.name)
        if self.presentation.render:
            render_video(path, rendered, people, video.frame_wh, meta["options"]["reader"], hook)
            files.append(rendered.name)
        write_json(
            summary_path,
            {
                **unfinished,
                "source": path.name,
                "frames": len(people[0]),
                "fps": meta["fps"],
                "frame_size_wh": meta["frame_size_wh"],
                "settings": self._settings(),
                "models": {
                    "detector": meta["detector"],
                    "static": self.pipeline.models.extractor.weights_id,
                    "predicts": self.pipeline.models.member.spec.weights_id,
                },
                "people": [person_summary(person) for person in people],
                "warnings": list(predicted.warnings),
                "files": files,
                "portrait": _portrait(people),
                "fingerprint": fingerprint,
            },
        )
        return Remarks(_line(people, predicted, time.monotonic() - start), predicted.warnings)

    def _is_done(self, summary: Mapping[str, Any], fingerprint: str, rendered: Path) -> bool:
        wanted = [*summary["files"], *([rendered.name] if self.presentation.render else [])]
        return summary.get("fingerprint") == fingerprint and all((self.out / name).exists() for name in wanted)

    def _fingerprint(self, path: Path) -> str:
        pipeline, shown = self.pipeline, self.presentation
        annotation = shown.annotations.get(path.stem)
        return value_hash(
            {
                **provenance(source=quick_hash(path), detector=pipeline.detector.identity, reader=pipeline.reader),
                "models": [pipeline.models.extractor.source, pipeline.models.member.spec.weights_id],
                "everybody": pipeline.everybody,
                "smoothing": smoothing_plain(shown.smoothing, EXPRESSION_CLASSES),
                "annotation": file_hash(annotation) if annotation is not None else None,
                "video": shown.video,
            }
        )

    def _person(self, faces: Any, predictions: Any) -> PersonTimeline:
        return read_timeline(faces, predictions, self.presentation.smoothing, self._annotated(faces.name, len(faces)))

    def _annotated(self, name: str, num_frames: int) -> NDArray[np.int8] | None:
        file = self.presentation.annotations.get(name)
        return None if file is None else read_annotation(file).for_frames(num_frames)

    def _settings(self) -> dict[str, str]:
        return {
            "detector": self.pipeline.detector.identity,
            "model": self.pipeline.models.label,
            "smoothing": str(self.presentation.smoothing),
            "people": "everybody" if self.pipeline.everybody else "the main person",
        }


def _summary(path: Path) -> dict[str, Any] | None:
    """The summary of an earlier run, None when there is no file. Raises DataError for a file of another kind."""
    if not path.exists():
        return None
    found = read_json(path)
    files = found.get("files") if isinstance(found, dict) and found.get("kind") == _KIND else None
    if not isinstance(files, list) or not all(isinstance(name, str) and name == Path(name).name for name in files):
        raise DataError(f"{path}: has the name of a result and is none; choose another --out or move it")
    return dict(found)


def _require_free(paths: Sequence[Path]) -> None:
    for path in paths:
        if path.exists():
            raise DataError(f"{path}: has the name of a result and is none; choose another --out or move it")


def _portrait(people: Sequence[PersonTimeline]) -> str | None:
    face = portrait(people[0])
    return None if face is None else data_url(face, "image/jpeg")


def _line(people: Sequence[PersonTimeline], predicted: VideoPredictions, seconds: float) -> str:
    frames = len(people[0])
    seen = int(np.any([person.valid for person in people], axis=0).sum())
    others = f"; {predicted.others} more seen, --subjects all shows each" if predicted.others else ""
    if not seen:
        return f"{frames} frames, no face in this video" if frames > 1 else "no face in this image"
    if frames == 1:
        return f"{len(people)} {'face' if len(people) == 1 else 'faces'}{others}"
    who = f", {len(people)} people" if len(people) > 1 else ""
    return f"{frames} frames, {seen} with a face{who}, {frames / seconds:.1f} frames/s{others}"


def write_index(out: Path) -> Path | None:
    """A page over all results in a folder, when there are several; returns it, or the page of the only result."""
    found = {
        path: card
        for path in sorted(out.glob("*.json"))
        if not is_system_file(path.name) and (card := _finished(path)) is not None
    }
    if len(found) < 2:
        return next((path.with_suffix(".html") for path in found), None)
    write_text(out / INDEX, render_index(list(found.values())))
    return out / INDEX


def _finished(path: Path) -> VideoCard | None:
    """The card of a finished result, None for a file of another kind."""
    try:
        summary = _summary(path)
        return read_card(path.stem, summary) if summary is not None and "fingerprint" in summary else None
    except (DataError, ValueError):
        return None
