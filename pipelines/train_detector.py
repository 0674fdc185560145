"""`abaw train-detector`: photos of faces and a teacher -> the small face detector, as an ONNX file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from abaw.core.config import to_plain
from abaw.core.ranges import require_at_least
from abaw.detector.settings import LossWeights, SceneSettings
from abaw.training.settings import TrainSettings
from pipelines.console import progress, result, say, warn
from pipelines.detector_photos import labels_folder, require_shares
from pipelines.inputs import DetectorName, InputPath

if TYPE_CHECKING:
    from torch import nn

    from abaw.detector.material import Material
    from abaw.training.loop import TrainResult

_PLACES = ("out", "photos", "teacher", "backgrounds", "scenes_folder", "labels", "init")
"""Settings that are not saved with the run: what was found there is, by its fingerprint."""


@dataclass(frozen=True, kw_only=True)
class TrainDetectorConfig:
    """Train the face detector on scenes composed of face photos that a teacher has labelled.

    Args:
        out: run folder; an existing run is resumed. The detector is OUT/last/detector.onnx (or OUT/best)
        photos: folders of photos with one face each
        teacher: detector that labels the photos: the path of a YuNet or SCRFD .onnx file, or insightface:PACK
        backgrounds: pictures without faces, or folders of them; those in which the teacher finds a face are left out
        scenes_folder: natural pictures, with and without faces, in which the teacher locates the faces
        set_aside: share of the pictures of each of their folders that is not used, to measure the detector on; as many
            more are scored
        labels: folder in which the teacher's labels are cached; by default OUT.labels
        holdout: share of the people held out; the best checkpoint is selected on scenes of them
        scored_scenes: number of those scenes
        batch_size: scenes of 256 pixels per step (and process); for other sizes, as many as have about as many pixels
        init: folder of a checkpoint of this command to start from, or the detector.onnx of one, whose network may have
            fewer blocks; the hard negatives are mined with it. By default, weights are random
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
    scenes_folder: InputPath | None = None
    set_aside: float = 0.1
    labels: Path | None = None
    holdout: float = 0.05
    scored_scenes: int = 200
    batch_size: int = 16
    init: InputPath | None = None
    scenes: SceneSettings = field(default_factory=SceneSettings)
    loss: LossWeights = field(default_factory=LossWeights)
    train: TrainSettings = field(default_factory=TrainSettings)

    def __post_init__(self) -> None:
        require_shares(self.holdout, self.set_aside)
        require_at_least(1, self, "scored_scenes", "batch_size")


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
    from abaw.core.data_parallel import WHOLE
    from abaw.core.run_folder import RunFolder
    from abaw.core.seed import derive_seed, numpy_generator
    from abaw.detector.checkpoint import load_weights, save_checkpoint
    from abaw.detector.dense_teacher import DenseTeacher
    from abaw.detector.method import DetectorMethod, SceneBatches
    from abaw.detector.network import FaceDetector, build_detector
    from abaw.detector.score import held_out_scorer
    from abaw.detector.start import start_from_graph
    from abaw.training.launch import launch
    from abaw.training.loop import train

    seed = config.train.seed
    dense = DenseTeacher(Path(config.teacher)) if config.loss.teacher else None
    model = build_detector(derive_seed(seed, "weights"))
    if config.init is not None and config.init.is_dir():
        load_weights(model, config.init)
    fabric = launch(config.train)
    plain = {name: value for name, value in to_plain(config).items() if name not in _PLACES}
    with fabric.rank_zero_first():
        material = _read_material(config)
        start = {} if config.init is None else {"init": file_hash(_start_file(config.init))[:16]}
        facts = {**start, **material.facts()}
        folder = RunFolder(config.out, {**plain, **facts}, {"train": to_plain(TrainSettings())})
    say(
        f"{len(material.training)} photos to learn from, {len(material.held_out)} of other people held out, "
        f"{len(material.backgrounds)} backgrounds"
    )
    if len(material.natural):
        say(
            f"{len(material.natural)} natural pictures to learn from, {len(material.natural.with_faces)} with faces, "
            f"{len(material.hard)} hard negatives in them, {len(material.scored)} to score on"
        )
    batches = SceneBatches(material, config.scenes, config.batch_size, seed, dense)
    if config.init is not None and not config.init.is_dir():
        start_from_graph(model, config.init, batches(0, WHOLE).pictures.float() / 255)
    spec = provenance(settings=plain, **facts)

    def save(folder: Path, model: nn.Module, outcome: Mapping[str, Any]) -> None:
        assert isinstance(model, FaceDetector)
        save_checkpoint(model, folder, {**spec, **outcome})

    with progress("training", "steps") as hook:
        return train(
            fabric,
            DetectorMethod(model, config.loss),
            batches,
            folder,
            config.train,
            evaluate=held_out_scorer(
                material, config.scenes, config.scored_scenes, numpy_generator(seed, "scored scenes")
            ),
            save=save,
            select_by="quality",
            progress=hook,
        )


def _start_file(init: Path) -> Path:
    """The file of the weights to start from."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.detector.checkpoint import weights_of

    return weights_of(init) if init.is_dir() else init


def _read_material(config: TrainDetectorConfig) -> Material:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.detector.checkpoint import DETECTOR
    from abaw.detector.material import read_material, with_natural
    from abaw.detector.natural import MINED, SEEN
    from abaw.video.detecting.registry import open_detector

    cache = labels_folder(config.out, config.labels)
    with progress("labelling by the teacher", "photos") as hook:
        material = read_material(
            config.photos, config.backgrounds, open_detector(config.teacher), config.holdout, cache, hook
        )
    if material.with_face:
        names = ", ".join(file.name for file in material.with_face)
        warn(f"left out of the backgrounds, because the teacher finds a face in them: {names}")
    if config.scenes_folder is None:
        return material
    teacher = open_detector(config.teacher, min_score=SEEN)
    miner = None
    if config.init is not None:
        miner = open_detector(str(config.init / DETECTOR if config.init.is_dir() else config.init), min_score=MINED)
    with progress("labelling the scenes and mining them", "pictures") as hook:
        return with_natural(material, config.scenes_folder, teacher, config.set_aside, miner, cache, hook)
