"""`abaw train-detector`: photos of faces, a teacher -> the small face detector, as an ONNX file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from abaw.core.config import to_plain
from abaw.core.errors import ConfigError, DataError
from abaw.detector.scene_settings import SceneSettings
from abaw.detector.settings import DetectorWeights
from abaw.training.settings import TrainSettings
from pipelines.console import progress, result, say, warn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from abaw.detector.network import FaceDetector
    from abaw.detector.photos import FacePhotos
    from abaw.training.loop import TrainResult

DETECTOR = "detector.onnx"
SPEC = "spec.json"
WEIGHTS = "weights.safetensors"
"""What `--init` starts from: the graph has its batch norms folded and cannot learn on."""
LABELS = "labels.npz"
"""What the teacher said lies beside the run, in the file of its name with this ending."""


@dataclass(frozen=True, kw_only=True)
class TrainDetectorConfig:
    """Train the face detector: scenes are composed of the photos, the teacher tells where their faces are.

    Args:
        out: run folder; a run that stands there is resumed. The detector is OUT/last/detector.onnx (or OUT/best)
        photos: folders of photos, one face each
        teacher: detector that gives boxes and landmarks: the path of a YuNet or SCRFD .onnx, or insightface:PACK
        backgrounds: pictures without faces, or folders of them; those in which the teacher finds a face are left out
        holdout: share of the people set apart; the best checkpoint is chosen on scenes of them
        scored_scenes: how many scenes
        batch_size: scenes of 256 pixels a step (and process); of another size as many as have about as many pixels
        init: folder of a checkpoint of this command to start from; without it weights are random
        scenes: how scenes are composed
        loss: weights of the parts of the loss
        train: optimiser, schedule, checkpoints
    """

    out: Path
    photos: tuple[Path, ...]
    teacher: str
    backgrounds: tuple[Path, ...] = ()
    holdout: float = 0.05
    scored_scenes: int = 200
    batch_size: int = 16
    init: Path | None = None
    scenes: SceneSettings = field(default_factory=SceneSettings)
    loss: DetectorWeights = field(default_factory=DetectorWeights)
    train: TrainSettings = field(default_factory=TrainSettings)

    def __post_init__(self) -> None:
        if not 0 < self.holdout < 1:
            raise ConfigError(f"holdout is {self.holdout}; expected more than 0 and less than 1")
        for name in ("scored_scenes", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected at least 1")


def run(config: TrainDetectorConfig) -> int:
    from abaw.training.loop import BEST, LAST

    outcome = train_detector(config)
    say(f"scores on {config.scored_scenes} scenes of the people set apart; the best step was chosen on them")
    for name, step, scores in ((LAST, outcome.steps, outcome.last), (BEST, outcome.best_step, outcome.best)):
        told = ", ".join(f"{key} {value:.4f}" for key, value in scores.items())
        result(f"{config.out / name / DETECTOR}: step {step}, {told}")
    return 0


def train_detector(config: TrainDetectorConfig) -> TrainResult:
    from abaw.core.run_folder import RunFolder
    from abaw.detector.method import DetectorMethod, SceneBatches
    from abaw.training.loop import launch, train

    model = _model(config)
    fabric = launch(config.train)
    with fabric.rank_zero_first():
        material = _read(config)
        folder = RunFolder(config.out, {**_settings(config), **material.facts})
    say(
        f"{len(material.training)} photos to learn from, {len(material.apart)} of other people set apart, "
        f"{len(material.backgrounds)} backgrounds"
    )
    with progress("training", "steps") as hook:
        return train(
            fabric,
            DetectorMethod(model, config.loss),
            SceneBatches(material.training, material.backgrounds, config.scenes, config.batch_size, config.train.seed),
            folder,
            config.train,
            evaluate=_scorer(config, material),
            save=_saver(config, material),
            select_by="quality",
            progress=hook,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Material:
    """What is learned from and scored on. facts: what makes it this and no other."""

    training: FacePhotos
    apart: FacePhotos
    backgrounds: Sequence[NDArray[np.uint8]]
    facts: Mapping[str, Any]


def _read(config: TrainDetectorConfig) -> _Material:
    from abaw.core.artifacts import file_hash
    from abaw.detector.backdrops import read_backgrounds
    from abaw.detector.photos import read_photos
    from abaw.video.detecting.registry import open_detector

    teacher = open_detector(config.teacher)
    cache = config.out.with_name(f"{config.out.name}.{LABELS}")
    with progress("what the teacher sees", "photos") as hook:
        photos = read_photos(config.photos, teacher, cache, hook)
    backgrounds, left_out = read_backgrounds(config.backgrounds, teacher)
    if left_out:
        warn(f"no backgrounds, as the teacher finds a face there: {', '.join(file.name for file in left_out)}")
    training, apart = photos.split(config.holdout)
    if not len(training) or not len(apart):
        raise ConfigError(
            f"{len(photos)} photos make {len(training)} to learn from and {len(apart)} set apart: give more photos or "
            f"another holdout ({config.holdout})"
        )
    facts = {
        **({} if config.init is None else {"init": file_hash(_weights(config.init))[:16]}),
        "teacher_weights": teacher.identity,
        "training": training.fingerprint(),
        "apart": apart.fingerprint(),
        "num_training": len(training),
        "num_backgrounds": len(backgrounds),
    }
    return _Material(training, apart, backgrounds, facts)


_PLACES = ("out", "photos", "teacher", "backgrounds", "init")


def _settings(config: TrainDetectorConfig) -> dict[str, Any]:
    """The settings as they are saved: paths are told by what was found there."""
    plain = to_plain(config)
    return {name: value for name, value in plain.items() if name not in _PLACES}


def _weights(folder: Path) -> Path:
    """The weights of a checkpoint to start from. Raises DataError when there are none."""
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise DataError(f"{weights}: not there; --init wants the folder of a checkpoint of train-detector (RUN/last)")
    return weights


def _model(config: TrainDetectorConfig) -> FaceDetector:
    from safetensors import SafetensorError
    from safetensors.torch import load_model

    from abaw.core.seed import derive_seed
    from abaw.detector.network import build_detector

    model = build_detector(derive_seed(config.train.seed, "weights"))
    if config.init is not None:
        weights = _weights(config.init)
        try:
            load_model(model, weights)
        except (SafetensorError, RuntimeError) as error:
            raise DataError(f"{weights}: no weights of this detector ({error}); train them again") from error
    return model


def _scorer(config: TrainDetectorConfig, material: _Material) -> Callable[[nn.Module], Mapping[str, float]]:
    from abaw.core.seed import numpy_generator
    from abaw.detector.scenes import make_scene
    from abaw.detector.score import score_detector

    rng = numpy_generator(config.train.seed, "scored scenes")
    sides = config.scenes.sides
    scenes = [
        make_scene(material.apart, material.backgrounds, config.scenes, sides[index % len(sides)], rng)
        for index in range(config.scored_scenes)
    ]
    return lambda model: score_detector(model, scenes)


def _saver(config: TrainDetectorConfig, material: _Material) -> Callable[[Path, nn.Module, Mapping[str, Any]], None]:
    from safetensors.torch import save_model

    from abaw.core.artifacts import atomic_path, provenance, write_json
    from abaw.detector.export import export_detector
    from abaw.detector.network import FaceDetector

    written = provenance(settings=_settings(config), **material.facts)

    def save(folder: Path, model: nn.Module, outcome: Mapping[str, Any]) -> None:
        assert isinstance(model, FaceDetector)
        export_detector(model, folder / DETECTOR)
        with atomic_path(folder / WEIGHTS) as temporary:
            save_model(model, str(temporary))
        write_json(folder / SPEC, {**written, **outcome})

    return save
