"""A video or image to predictions per person: faces, features and predictions, each a store that is made once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from abaw.core.progress import Progress, silent
from abaw.extractors.extractor import Extractor, Outputs
from abaw.extractors.registry import is_external, open_extractor, require_head
from abaw.inference.devices import choose_device
from abaw.inference.features import write_video_features
from abaw.inference.members import Member, load_member, static_member
from abaw.inference.predict import is_predicted, predict_stores
from abaw.models.tasks import require_expression
from abaw.protocol.layout import Subject, is_image
from abaw.stores.crop import ALIGNED_112, Crop
from abaw.stores.faces import FaceStore, open_faces
from abaw.stores.features import open_features
from abaw.stores.predictions import Predictions, read_predictions, write_predictions
from abaw.stores.sources import LOGITS
from abaw.stores.spec import CheckpointError, load_spec
from abaw.video.detecting.detector import Detector
from abaw.video.extract import ExtractedVideo, extract_video
from abaw.video.options import ExtractOptions
from abaw.video.reading.registry import STILL
from abaw.weights import resolve_checkpoint

STILLS = ExtractOptions(reader=STILL, min_track_frames=1, start_score=0.0)
"""Every face that the detector finds in an image is somebody: no other frame could confirm it."""

StageProgress = Callable[[str], AbstractContextManager[Progress]]
"""Opened for each stage, "faces" and "expressions"; the hook that it returns counts frames."""


def silent_stages(stage: str) -> AbstractContextManager[Progress]:
    """Reports nothing."""
    return nullcontext(silent)


@dataclass(frozen=True, slots=True)
class VideoModels:
    """The models of the pipeline.

    extractor: faces to features; member: features to probabilities, the head of the static model or a temporal model;
    label: a description of both; crop: the kind of crop that the extractor expects.
    """

    extractor: Extractor
    member: Member
    label: str
    crop: Crop = ALIGNED_112


def load_models(
    checkpoint: str | Path,
    temporal: Path | None = None,
    accelerator: Literal["auto", "cpu", "cuda"] = "auto",
    batch_size: int = 128,
    threads: int | None = None,
) -> VideoModels:
    """checkpoint: the name of an extractor; temporal: a folder, or `builtin`; without it, each frame is predicted by
    itself, by the head of a static checkpoint. threads: of the processor, None for all.

    Raises CheckpointError for a checkpoint that is missing, damaged, of another kind, or expects a kind of crop that
    cannot be extracted from videos, DataError for a network without a head where one is needed, and ConfigError for a
    temporal one without expression.
    """
    name = str(checkpoint)
    if temporal is None:
        require_head(name)
    sequence = None if temporal is None else resolve_checkpoint(temporal, "temporal")
    device = choose_device(accelerator)
    needs_logits = sequence is not None and str(load_spec(sequence, "temporal").input["backbone"]).endswith(LOGITS)
    outputs: Outputs = "logits" if needs_logits else "features"
    extractor = open_extractor(name, device, threads=threads, batch_size=batch_size, outputs=outputs)
    crop = _crop_to_extract(name, extractor)
    shown = name if is_external(name) else _short_name(Path(name))
    if temporal is None or sequence is None:
        head = static_member(resolve_checkpoint(Path(name), "static"), extractor)
        return VideoModels(extractor, head, f"{shown} ({extractor.weights_id}), frame by frame", crop)
    member = load_member(sequence, device, threads)
    require_expression(member.tasks, "predict-video")
    label = f"{shown}, then {_short_name(temporal)} ({member.spec.weights_id})"
    return VideoModels(extractor, member, label, crop)


def _crop_to_extract(name: str, extractor: Extractor) -> Crop:
    """The kind of crop that a model expects, aligned:112 where any will do."""
    expected = extractor.crop or ALIGNED_112
    if expected.to_extract is None:
        raise CheckpointError(
            f"{name}: expects {expected} crops, which were imported from elsewhere and cannot be made from a "
            "video; import such crops (abaw import-crops) and use abaw features and abaw predict"
        )
    return expected.to_extract


def _short_name(checkpoint: Path) -> str:
    """`builtin`, `static/last`."""
    return "/".join(checkpoint.parts[-2:])


@dataclass(frozen=True, slots=True, eq=False)
class VideoPredictions:
    """Faces and predictions of the people of one video, the longest visible person first.

    warnings: problems while reading the video; others: number of visible people who were left out.
    """

    faces: tuple[FaceStore, ...]
    predictions: tuple[Predictions, ...]
    warnings: tuple[str, ...]
    others: int


def num_people(extracted: ExtractedVideo) -> int:
    """Number of people in a video, at most 20."""
    return len(open_faces(extracted.stores[0].path).meta["people"])


@dataclass(frozen=True, slots=True)
class VideoPipeline:
    """All stages from a file to predictions.

    folder: of the stores; reader: see `open_video`; everybody: one store per track, instead of the main person only. An
    image with several faces has one store per face in any case.
    """

    folder: Path
    detector: Detector
    models: VideoModels
    reader: str
    everybody: bool

    def run(self, path: Path, progress: StageProgress = silent_stages) -> VideoPredictions:
        """Run all stages on one video or image. Stores that exist already are reused.

        Raises DataError for a file that cannot be read.
        """
        with progress("faces") as hook:
            extracted = self._extract(path, self.everybody, hook)
            if is_image(path) and not self.everybody and num_people(extracted) > 1:
                extracted = self._extract(path, True, hook)
        stores = sorted(extracted.stores, key=lambda store: -store.faces)
        faces = tuple(open_faces(store.path) for store in stores)
        with progress("expressions") as hook:
            predictions = tuple(self._predict(one, hook) for one in faces)
        shows_all = self.everybody or is_image(path)
        others = 0 if shows_all else max(0, num_people(extracted) - 1)
        return VideoPredictions(faces, predictions, extracted.warnings, others)

    def _extract(self, path: Path, everybody: bool, hook: Progress) -> ExtractedVideo:
        options = STILLS if is_image(path) else ExtractOptions(reader=self.reader)
        subjects = None if everybody else [Subject(path.stem, path.stem, None)]
        folder, crops = self.folder / "faces", (self.models.crop,)
        return extract_video(path, folder, self.detector, subjects, options, crops=crops, progress=hook)

    def _predict(self, faces: FaceStore, hook: Progress) -> Predictions:
        name = faces.store.path.name
        features, predictions = self.folder / "features" / name, self.folder / "predictions" / name
        write_video_features(faces, self.models.extractor, features, hook)
        members = [self.models.member]
        if not is_predicted(predictions, members, [features]):
            write_predictions(predictions, predict_stores(members, [open_features(features)]))
        return read_predictions(predictions)
