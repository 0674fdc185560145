"""The stages of the pipeline on one video: faces, features, predictions, each a store that is made once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from abaw.core.progress import Progress
from abaw.inference.devices import choose_device
from abaw.inference.features import Extractor, load_extractor, write_video_features
from abaw.inference.members import Member, load_member
from abaw.inference.predict import fingerprint, predict_stores
from abaw.protocol.layout import Subject, is_image
from abaw.stores.arrow import is_done
from abaw.stores.faces import FaceStore, open_faces
from abaw.stores.features import open_features
from abaw.stores.predictions import Predictions, read_predictions, write_predictions
from abaw.stores.spec import load_spec
from abaw.video.detecting.detector import Detector
from abaw.video.extract import extract_video
from abaw.video.options import ExtractOptions
from abaw.video.reading.registry import STILL
from abaw.weights import resolve_checkpoint
from pipelines.console import progress

_LOGITS = "/logits"


@dataclass(frozen=True, slots=True)
class Models:
    """extractor: makes features of faces; member: makes probabilities of features, the static model's own head or a
    temporal model; label: in words."""

    extractor: Extractor
    member: Member
    label: str


def load_models(
    checkpoint: Path, temporal: Path | None, accelerator: Literal["auto", "cpu", "cuda"], batch_size: int
) -> Models:
    """Raises CheckpointError for a checkpoint that is missing, damaged or of another kind."""
    static = resolve_checkpoint(checkpoint, "static")
    sequence = None if temporal is None else resolve_checkpoint(temporal, "temporal")
    device = choose_device(accelerator)
    wants_logits = sequence is not None and str(load_spec(sequence, "temporal").input["backbone"]).endswith(_LOGITS)
    extractor = load_extractor(static, device, batch_size=batch_size, outputs="logits" if wants_logits else "features")
    label = f"{_told(checkpoint)} ({extractor.spec.weights_id}), frame by frame"
    if temporal is None or sequence is None:
        return Models(extractor, load_member(static, device), label)
    member = load_member(sequence, device)
    return Models(extractor, member, f"{_told(checkpoint)}, then {_told(temporal)} ({member.spec.weights_id})")


def _told(checkpoint: Path) -> str:
    """`builtin`, `static/last`."""
    return "/".join(checkpoint.parts[-2:])


@dataclass(frozen=True, slots=True, eq=False)
class Subjects:
    """The people of one video: faces and predictions of each, those seen longest first.

    warnings: what became of the video; others: people who are seen and not among them.
    """

    faces: tuple[FaceStore, ...]
    predictions: tuple[Predictions, ...]
    warnings: tuple[str, ...]
    others: int


@dataclass(frozen=True, slots=True)
class Stages:
    """folder: of the stores; everybody: a store a track, not the main person alone."""

    folder: Path
    detector: Detector
    models: Models
    reader: str
    everybody: bool

    def run(self, path: Path) -> Subjects:
        """All stages on one video or image. Raises DataError for a file that cannot be read."""
        still = is_image(path)
        options = ExtractOptions(reader=STILL, min_track_frames=1) if still else ExtractOptions(reader=self.reader)
        subjects = None if self.everybody else [Subject(path.stem, path.stem, None)]
        with progress(path.name, "frames") as hook:
            extracted = extract_video(path, self.folder / "faces", self.detector, subjects, options, progress=hook)
        stores = sorted(extracted.stores, key=lambda store: -store.faces)
        faces = tuple(open_faces(store.path) for store in stores)
        with progress(f"{path.name}: expressions", "frames") as hook:
            predictions = tuple(self._predict(one, hook) for one in faces)
        people = len(faces[0].meta["people"])
        return Subjects(faces, predictions, extracted.warnings, max(0, people - 1) if subjects is not None else 0)

    def _predict(self, faces: FaceStore, hook: Progress) -> Predictions:
        name = faces.store.path.name
        features, predictions = self.folder / "features" / name, self.folder / "predictions" / name
        write_video_features(faces, self.models.extractor, features, hook)
        members = [self.models.member]
        if not is_done(predictions, fingerprint(members, [features])):
            write_predictions(predictions, predict_stores(members, [open_features(features)]))
        return read_predictions(predictions)
