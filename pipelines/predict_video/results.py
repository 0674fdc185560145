"""The results of one video after its predictions (tables, page, annotated video), and the index over several."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
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
from abaw.protocol.annotations import TRAIN_SET, VALIDATION_SET, read_annotation, text_files
from abaw.protocol.classes import EXPRESSION_CLASSES, TASKS
from abaw.protocol.labels import split_folders
from abaw.protocol.layout import is_image
from abaw.sequence.smooth import Smoothing
from abaw.sequence.smoothing_file import smoothing_plain
from abaw.viewer.filmstrip import portrait
from abaw.viewer.index import VideoCard, is_index, read_card, render_index
from abaw.viewer.media import Keep, copy_beside, prepare_media
from abaw.viewer.page import Video, render_viewer
from abaw.viewer.person_timeline import PersonTimeline, read_timeline
from abaw.viewer.render import render_video
from abaw.viewer.tables import frames_csv, person_summary
from pipelines.console import warn
from pipelines.items import Remarks

_KIND = "predict-video"
INDEX = "index.html"
_IS_NONE = "{}: has the name of a result and is none; choose another --out or move it"


@dataclass(frozen=True, slots=True)
class Presentation:
    """How results are shown. annotations: files by name; render: also an annotated video; video: see prepare_media."""

    smoothing: Smoothing
    annotations: Mapping[str, Path]
    render: bool
    video: Keep


def find_annotations(folder: Path) -> dict[str, Path]:
    """The files of expression annotations, by name: the official ones of an annotation root, else all in and below it.

    Raises DataError when there is none, or when two have one name.
    """
    official = {
        task: [place for split in (TRAIN_SET, VALIDATION_SET) for place in split_folders(folder, split, task)]
        for task in TASKS
    }
    if any(official.values()):
        files = [file for place in official["expression"] for file in text_files(place).values()]
    else:
        files = [file for file in user_files(folder) if file.suffix.lower() == ".txt"]
    if not files:
        raise DataError(
            f"{folder}: no annotation file (*.txt) of expressions in it or below; check the path of --annotations"
        )
    by_name: dict[str, Path] = {}
    for file in files:
        other = by_name.setdefault(file.stem, file)
        if other != file:
            raise DataError(f"two annotations are named '{file.stem}': {other} and {file}; give the folder of one")
    return by_name


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
        fingerprint = self._fingerprint(path)
        before = _summary(summary_path)
        if before is not None and self._is_done(before, fingerprint, path):
            return Remarks("exists already")
        self._require_free(path, self._files(path, self._possible_people(path)))
        predicted = self.pipeline.run(path, lambda stage: nullcontext(hook))
        people = [
            self._person(faces, predictions)
            for faces, predictions in zip(predicted.faces, predicted.predictions, strict=True)
        ]
        meta = predicted.faces[0].meta
        files = self._files(path, [person.name for person in people], meta)
        earlier = self._require_free(path, files)
        # Written first: it marks the files as results even if the process is killed before the end.
        unfinished = {**provenance(kind=_KIND), "video": path.stem, "files": [], "outdated": sorted(earlier | {*files})}
        write_json(summary_path, unfinished)
        for person in people:
            write_text(self.out / f"{person.name}.csv", frames_csv(person))
        video = Video(path.stem, path.name, meta["fps"], tuple(meta["frame_size_wh"]), self._settings())
        media = prepare_media(path, page_path, self.presentation.video, meta, hook)
        write_text(page_path, render_viewer(video, people, media))
        if self.presentation.render:
            render_video(path, self._rendered(path), people, video.frame_wh, meta["options"]["reader"], hook)
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
                "files": self._existing(files),
                "outdated": self._existing(sorted(earlier - {*files})),
                "portrait": _portrait(people),
                "fingerprint": fingerprint,
            },
        )
        return Remarks(_line(people, predicted, time.monotonic() - start), predicted.warnings)

    def _rendered(self, path: Path) -> Path:
        return self.out / f"{path.stem}{'.png' if is_image(path) else '.mp4'}"

    def _is_done(self, summary: Mapping[str, Any], fingerprint: str, path: Path) -> bool:
        files = summary["files"]
        is_rendered = not self.presentation.render or self._rendered(path).name in files
        return summary.get("fingerprint") == fingerprint and is_rendered and self._existing(files) == files

    def _existing(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if (self.out / name).exists()]

    def _possible_people(self, path: Path) -> list[str]:
        """The people whose tables the video may have, as far as files have their names, and its own name."""
        if not (self.pipeline.everybody or is_image(path)):
            return [path.stem]
        person = re.compile(re.escape(path.stem) + r"_person\d+")
        return [path.stem, *(file.stem for file in self.out.glob("*.csv") if person.fullmatch(file.stem))]

    def _files(self, path: Path, people: Sequence[str], meta: Mapping[str, Any] | None = None) -> list[str]:
        """The names of the results but the summary. meta: of a faces store, None before the video was read."""
        page = self.out / f"{path.stem}.html"
        copy = copy_beside(path, page, meta)
        rendered = [self._rendered(path).name] if self.presentation.render else []
        return [*(f"{name}.csv" for name in people), page.name, *([copy.name] if copy is not None else []), *rendered]

    def _require_free(self, path: Path, names: Sequence[str]) -> set[str]:
        """The files of earlier results of the video.

        Raises DataError when a result with one of the names would replace the video itself or a file that is none of
        these.
        """
        taken = [self.out / name for name in self._existing(names)]
        # Read last: another run that makes the same results lists them before it writes them.
        summary = _summary(self.out / f"{path.stem}.json")
        earlier = set() if summary is None else _results(summary)
        for target in taken:
            if target.samefile(path):
                raise DataError(f"{target}: is the source, and a result would have its name; choose another --out")
            if target.name not in earlier:
                raise DataError(_IS_NONE.format(target))
        return earlier

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
    is_ours = isinstance(found, dict) and found.get("kind") == _KIND
    lists = [found.get("files"), found.get("outdated", [])] if is_ours else [None]
    if not all(isinstance(names, list) and all(map(_is_name, names)) for names in lists):
        raise DataError(_IS_NONE.format(path))
    return {"outdated": [], **found}


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value == Path(value).name


def _results(summary: Mapping[str, Any]) -> set[str]:
    return {*summary["files"], *summary["outdated"]}


def _summaries(out: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The summaries in a folder by name of the video; files of another kind are left out."""
    for path in sorted(out.glob("*.json")):
        summary = None
        with suppress(DataError):
            summary = None if is_system_file(path.name) else _summary(path)
        if summary is not None:
            yield path.stem, summary


def results_in(out: Path) -> list[Path]:
    """The files that earlier runs made in a folder, which may be missing."""
    return [out / name for _, summary in _summaries(out) for name in sorted(_results(summary))]


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
    """A page over all results in a folder, when there are several; returns it, or the page of the only result.

    Another page that has its name is kept, with a warning.
    """
    cards = [card for name, summary in _summaries(out) if (card := _finished(name, summary)) is not None]
    if len(cards) < 2:
        return next((out / card.page for card in cards), None)
    index = out / INDEX
    if index.exists() and not is_index(index):
        warn(f"{index}: has the name of the overview and is none, so none is written; choose another --out or move it")
        return None
    write_text(index, render_index(cards))
    return index


def _finished(name: str, summary: Mapping[str, Any]) -> VideoCard | None:
    """The card of a finished result, None for the summary of another video or program."""
    try:
        return read_card(name, summary) if "fingerprint" in summary else None
    except (DataError, ValueError):
        return None
