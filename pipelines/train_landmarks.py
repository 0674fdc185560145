"""`abaw train-landmarks`: photos of faces and a teacher -> a detector with a network that refines its landmarks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from abaw.core.config import to_plain
from abaw.core.ranges import require_at_least
from abaw.training.settings import TrainSettings
from pipelines.console import progress, result, say
from pipelines.detector_photos import labels_folder, require_shares
from pipelines.inputs import DetectorName, InputPath

if TYPE_CHECKING:
    from torch import nn

    from abaw.detector.photos import FacePhotos
    from abaw.training.loop import TrainResult

_PLACES = ("out", "photos", "teacher", "detector", "scenes_folder", "labels")
"""Settings that are not saved with the run: what was found there is, by its fingerprint."""


@dataclass(frozen=True, kw_only=True)
class TrainLandmarksConfig:
    """Train the network that refines a detector's landmarks, on face photos that a teacher has labelled.

    OUT/last has a copy of the detector next to the new network; both are used together.

    Args:
        out: run folder; an existing run is resumed. The detector with the network is OUT/last/detector.onnx
        detector: the detector.onnx of train-detector that the network belongs to; only copied
        photos: folders of photos with one face each
        teacher: detector that labels the photos: the path of a YuNet or SCRFD .onnx file, or insightface:PACK
        scenes_folder: natural pictures, whose faces are added to the photos
        set_aside: share of the pictures of each of their folders that is not used, as in train-detector
        labels: folder in which the teacher's labels are cached; by default OUT.labels
        holdout: share of the people held out, to score on
        batch_size: faces per step (and process)
        train: optimiser, schedule, checkpoints

    Examples:
        abaw train-landmarks --detector runs/d/last/detector.onnx --photos photos/ --teacher t.onnx --out l
        abaw train-landmarks --config detector_builtin_landmarks --detector d.onnx --photos p/ --teacher t.onnx --out l
    """

    out: Path
    detector: InputPath
    photos: tuple[InputPath, ...]
    teacher: DetectorName
    scenes_folder: InputPath | None = None
    set_aside: float = 0.1
    labels: Path | None = None
    holdout: float = 0.05
    batch_size: int = 64
    train: TrainSettings = field(default_factory=TrainSettings)

    def __post_init__(self) -> None:
        require_shares(self.holdout, self.set_aside)
        require_at_least(1, self, "batch_size")


def run(config: TrainLandmarksConfig) -> int:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.detector.checkpoint import DETECTOR
    from abaw.training.loop import LAST

    outcome = train_landmarks(config)
    listed = ", ".join(f"{key} {value:.4f}" for key, value in outcome.last.items() if key != "quality")
    result(f"{config.out / LAST / DETECTOR}: landmarks of held-out people, in distances between the eyes: {listed}")
    return 0


def train_landmarks(config: TrainLandmarksConfig) -> TrainResult:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.artifacts import file_hash, provenance
    from abaw.core.run_folder import RunFolder
    from abaw.core.seed import derive_seed, numpy_generator
    from abaw.detector.checkpoint import save_landmarks
    from abaw.detector.landmark_crops import CropBatches
    from abaw.detector.landmark_method import LandmarkMethod, landmark_scorer
    from abaw.detector.landmark_network import LandmarkNetwork, build_landmark_network
    from abaw.detector.photos import split_photos
    from abaw.training.launch import launch
    from abaw.training.loop import train

    seed = config.train.seed
    model = build_landmark_network(derive_seed(seed, "weights"))
    fabric = launch(config.train)
    plain = {name: value for name, value in to_plain(config).items() if name not in _PLACES}
    with fabric.rank_zero_first():
        photos, teacher = _read_photos(config)
        training, held_out = split_photos(photos, config.holdout)
        facts = {
            "detector": file_hash(config.detector)[:16],
            "teacher_weights": teacher,
            "training": training.fingerprint(),
            "apart": held_out.fingerprint(),
            "num_training": len(training),
        }
        folder = RunFolder(config.out, {**plain, **facts})
    say(f"{len(training)} faces to learn from, {len(held_out)} of other people held out")
    spec = provenance(settings=plain, **facts)

    def save(folder: Path, model: nn.Module, outcome: Mapping[str, Any]) -> None:
        assert isinstance(model, LandmarkNetwork)
        save_landmarks(model, config.detector, folder, {**spec, **outcome})

    with progress("training", "steps") as hook:
        return train(
            fabric,
            LandmarkMethod(model),
            CropBatches(training, config.batch_size, seed),
            folder,
            config.train,
            evaluate=landmark_scorer(held_out, numpy_generator(seed, "scored crops")),
            save=save,
            select_by="quality",
            progress=hook,
        )


def _read_photos(config: TrainLandmarksConfig) -> tuple[FacePhotos, str]:
    """The faces of the photos and of the natural pictures, and the identity of the teacher."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.detector.natural import SEEN, TRAINING, faces_of, parts_of, read_natural
    from abaw.detector.photos import read_photos
    from abaw.video.detecting.registry import open_detector

    cache = labels_folder(config.out, config.labels)
    teacher = open_detector(config.teacher)
    with progress("labelling by the teacher", "photos") as hook:
        photos = read_photos(config.photos, teacher, cache, hook)
    if config.scenes_folder is None:
        return photos, teacher.identity
    with progress("labelling the scenes", "pictures") as hook:
        natural = read_natural(config.scenes_folder, open_detector(config.teacher, min_score=SEEN), cache, hook)
    parts = parts_of(natural.names, config.set_aside)
    learned = natural.pick([row for row, part in enumerate(parts) if part == TRAINING])
    return photos.joined(faces_of(learned)), teacher.identity
