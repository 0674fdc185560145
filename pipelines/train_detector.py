"""`abaw train-detector`: photos of faces and a teacher -> the small face detector, as an ONNX file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from abaw.core.config import to_plain
from abaw.core.errors import ConfigError
from abaw.detector.settings import LossWeights, SceneSettings
from abaw.training.settings import TrainSettings
from pipelines.console import progress, result, say, warn
from pipelines.inputs import DetectorName, InputPath

if TYPE_CHECKING:
    from torch import nn

    from abaw.detector.material import Material
    from abaw.training.loop import TrainResult

LABELS = "labels.npz"
"""The teacher's labels are cached next to the run folder, in the file with the folder's name and this suffix."""
_PLACES = ("out", "photos", "teacher", "backgrounds", "init")
"""Settings that are not saved with the run: what was found there is, by its fingerprint."""


@dataclass(frozen=True, kw_only=True)
class TrainDetectorConfig:
    """Train the face detector on scenes composed of face photos that a teacher has labelled.

    Args:
        out: run folder; an existing run is resumed. The detector is OUT/last/detector.onnx (or OUT/best)
        photos: folders of photos with one face each
        teacher: detector that labels the photos: the path of a YuNet or SCRFD .onnx file, or insightface:PACK
        backgrounds: pictures without faces, or folders of them; those in which the teacher finds a face are left out
        holdout: share of the people held out; the best checkpoint is selected on scenes of them
        scored_scenes: number of those scenes
        batch_size: scenes of 256 pixels per step (and process); for other sizes, as many as have about as many pixels
        init: folder of a checkpoint of this command to start from; by default, weights are random
        scenes: how scenes are composed
        loss: weights of the terms of the loss
        train: optimiser, schedule, checkpoints

    Examples:
        abaw train-detector --photos photos/ --teacher insightface:buffalo_l --out runs/detector
        abaw train-detector --config detector_builtin --photos photos/ --teacher t.onnx --out d
    """

    out: Path
    photos: tuple[InputPath, ...]
    teacher: DetectorName
    backgrounds: tuple[InputPath, ...] = ()
    holdout: float = 0.05
    scored_scenes: int = 200
    batch_size: int = 16
    init: InputPath | None = None
    scenes: SceneSettings = field(default_factory=SceneSettings)
    loss: LossWeights = field(default_factory=LossWeights)
    train: TrainSettings = field(default_factory=TrainSettings)

    def __post_init__(self) -> None:
        if not 0 < self.holdout < 1:
            raise ConfigError(f"holdout is {self.holdout}; expected more than 0 and less than 1")
        for name in ("scored_scenes", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected at least 1")


def run(config: TrainDetectorConfig) -> int:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.detector.checkpoint import DETECTOR
    from abaw.training.loop import BEST, LAST

    outcome = train_detector(config)
    say(f"scores on {config.scored_scenes} scenes of the held-out people; the best step was selected on them")
    for name, step, scores in ((LAST, outcome.steps, outcome.last), (BEST, outcome.best_step, outcome.best)):
        listed = ", ".join(f"{key} {value:.4f}" for key, value in scores.items())
        result(f"{config.out / name / DETECTOR}: step {step}, {listed}")
    return 0


def train_detector(config: TrainDetectorConfig) -> TrainResult:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.artifacts import file_hash, provenance
    from abaw.core.run_folder import RunFolder
    from abaw.core.seed import derive_seed, numpy_generator
    from abaw.detector.checkpoint import load_weights, save_checkpoint, weights_of
    from abaw.detector.method import DetectorMethod, SceneBatches
    from abaw.detector.network import FaceDetector, build_detector
    from abaw.detector.score import held_out_scorer
    from abaw.training.loop import launch, train

    seed = config.train.seed
    model = build_detector(derive_seed(seed, "weights"))
    if config.init is not None:
        load_weights(model, config.init)
    fabric = launch(config.train)
    plain = {name: value for name, value in to_plain(config).items() if name not in _PLACES}
    with fabric.rank_zero_first():
        material = _read_material(config)
        start = {} if config.init is None else {"init": file_hash(weights_of(config.init))[:16]}
        facts = {**start, **material.facts()}
        folder = RunFolder(config.out, {**plain, **facts})
    say(
        f"{len(material.training)} photos to learn from, {len(material.held_out)} of other people held out, "
        f"{len(material.backgrounds)} backgrounds"
    )
    spec = provenance(settings=plain, **facts)

    def save(folder: Path, model: nn.Module, outcome: Mapping[str, Any]) -> None:
        assert isinstance(model, FaceDetector)
        save_checkpoint(model, folder, {**spec, **outcome})

    with progress("training", "steps") as hook:
        return train(
            fabric,
            DetectorMethod(model, config.loss),
            SceneBatches(material.training, material.backgrounds, config.scenes, config.batch_size, seed),
            folder,
            config.train,
            evaluate=held_out_scorer(
                material, config.scenes, config.scored_scenes, numpy_generator(seed, "scored scenes")
            ),
            save=save,
            select_by="quality",
            progress=hook,
        )


def _read_material(config: TrainDetectorConfig) -> Material:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.detector.material import read_material
    from abaw.video.detecting.registry import open_detector

    cache = config.out.with_name(f"{config.out.name}.{LABELS}")
    teacher = open_detector(config.teacher)
    with progress("labelling by the teacher", "photos") as hook:
        material = read_material(config.photos, config.backgrounds, teacher, config.holdout, cache, hook)
    if material.with_face:
        names = ", ".join(file.name for file in material.with_face)
        warn(f"left out of the backgrounds, because the teacher finds a face in them: {names}")
    return material
