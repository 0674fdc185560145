"""`abaw train-static`: labelled faces -> static expression model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from abaw.core.config import to_plain
from abaw.core.errors import ConfigError
from abaw.data.settings import Balance
from abaw.semisup.settings import MethodName, SupervisedSettings
from abaw.training.settings import TrainSettings
from pipelines.console import progress, result, say, warn

if TYPE_CHECKING:
    from torch import nn

    from abaw.core.run_folder import RunFolder
    from abaw.data.images import ImageReader
    from abaw.data.labelled import LabelledFaces
    from abaw.models.static import ImageInput, StaticModel
    from abaw.semisup.method import Method
    from abaw.training.loop import TrainResult


# Where things lay on the machine that trained is nothing for a checkpoint that travels.
_PATHS = ("out", "labelled", "videos", "annotations", "init")


@dataclass(frozen=True, kw_only=True)
class TrainStaticConfig:
    """Train the static model: one face image -> expression.

    Args:
        out: run folder; a run that stands there is resumed
        labelled: image sets with labels (`abaw import-images`), or folders of them
        videos: folder of faces stores of videos, to train on their frames; needs annotations
        annotations: folder that holds Train_Set, or the folder of the annotation files itself; needs videos
        every: takes every n-th labelled frame of a video: neighbours are nearly the same
        method: how it learns
        supervised: settings of the method `supervised`
        init: folder of a static checkpoint to start from
        backbone: small, or a classification network of torchvision such as resnet18
        pretrained: start from torchvision's weights for ImageNet (downloaded once)
        size: side of the square input in pixels
        balance: how often a class is drawn: all alike, by the square root of its count, or by its count
        batch_size: images a step (and process)
        holdout: share of the labelled faces set apart to choose the best checkpoint; whole videos for frames
        cache_mb: decoded images are kept in memory when they take at most so many MiB
        train: optimiser, schedule, checkpoints
    """

    out: Path
    labelled: tuple[Path, ...] = ()
    videos: Path | None = None
    annotations: Path | None = None
    every: int = 10
    method: MethodName = "supervised"
    supervised: SupervisedSettings = field(default_factory=SupervisedSettings)
    init: Path | None = None
    backbone: str = "small"
    pretrained: bool = False
    size: int = 48
    balance: Balance = "uniform"
    batch_size: int = 64
    holdout: float = 0.1
    cache_mb: int = 2048
    train: TrainSettings = field(default_factory=TrainSettings)

    def __post_init__(self) -> None:
        if not self.labelled and self.videos is None:
            raise ConfigError("nothing to learn from: give labelled image sets, or videos with annotations")
        if (self.videos is None) != (self.annotations is None):
            raise ConfigError("videos and annotations belong together: frames get their labels from annotation files")
        if self.init is not None and self.pretrained:
            raise ConfigError("init and pretrained are two places to start from; give one of them")


def run(config: TrainStaticConfig) -> int:
    outcome = train_static(config)
    say(f"scores on {config.holdout:.0%} of the labelled faces, held out; the best step was chosen on them")
    for name, step, scores in (("last", outcome.steps, outcome.last), ("best", outcome.best_step, outcome.best)):
        values = ", ".join(f"{key} {value:.4f}" for key, value in scores.items())
        result(f"{config.out / name}: step {step}, {values}")
    return 0


def train_static(config: TrainStaticConfig) -> TrainResult:
    """One training run in its folder, resumed when it was begun. The same settings give the same model."""
    from abaw.core.seed import numpy_generator
    from abaw.data.images import ImageReader, TrainBatches
    from abaw.data.sampling import hold_out
    from abaw.models.static import ImageInput
    from abaw.training.loop import launch, train

    seed = config.train.seed
    samples = read_labelled(config)
    held = hold_out(samples.labels, samples.groups, config.holdout, numpy_generator(seed, "holdout"))
    training, selection = samples.take(~held), samples.take(held)
    _tell_classes(training)
    image = ImageInput(config.size)
    model = _start(config)
    fabric = launch(config.train)
    with fabric.rank_zero_first():
        run_folder = _open_run(config, samples)
    with progress("read images", "images") as hook:
        reader = ImageReader(training, config.size, config.cache_mb, hook)
    with progress("train-static", "steps") as hook:
        return train(
            fabric,
            _method(config, model, image),
            TrainBatches(reader, config.balance, config.batch_size, seed),
            run_folder,
            config.train,
            evaluate=_scorer(ImageReader(selection, config.size, config.cache_mb), image),
            save=_saver(config, image, training, selection),
            select_by="macro_f1",
            progress=hook,
        )


def read_labelled(config: TrainStaticConfig) -> LabelledFaces:
    """All labelled faces of the config, image sets first. What is left out is told as a warning."""
    from abaw.data.labelled import join, labelled_frames, labelled_stills
    from abaw.protocol.annotations import TRAIN_SET, split_folder
    from abaw.stores.arrow import find_stores

    parts = [labelled_stills(path) for path in find_stores(config.labelled)]
    if config.videos is not None and config.annotations is not None:
        folder = split_folder(config.annotations, TRAIN_SET)
        frames, missing = labelled_frames(config.videos, folder, config.every)
        parts.append(frames)
        if missing:
            warn(f"{len(missing)} annotated videos have no faces store in {config.videos}: {', '.join(missing[:5])}, …")
    return join(parts)


def _tell_classes(training: LabelledFaces) -> None:
    from abaw.protocol.classes import EXPRESSION_CLASSES

    counts = dict(zip(EXPRESSION_CLASSES, training.class_counts().tolist(), strict=True))
    say(f"{len(training)} faces to learn from: {', '.join(f'{name} {count}' for name, count in counts.items())}")
    absent = [name for name, count in counts.items() if count == 0]
    if absent:
        warn(f"no face is labelled {', '.join(absent)}: the model cannot learn to tell these classes")


def _start(config: TrainStaticConfig) -> StaticModel:
    from abaw.models.static import build_static, initialise
    from abaw.protocol.classes import EXPRESSION_CLASSES

    model = build_static(
        config.backbone, len(EXPRESSION_CLASSES), config.size, seed=config.train.seed, pretrained=config.pretrained
    )
    if config.init is not None:
        initialise(model, config.backbone, EXPRESSION_CLASSES, config.init)
    return model


def _method(config: TrainStaticConfig, model: StaticModel, image: ImageInput) -> Method[Any, Any]:
    from abaw.semisup.supervised import Supervised

    match config.method:
        case "supervised":
            return Supervised(model, image, config.supervised)


def _open_run(config: TrainStaticConfig, samples: LabelledFaces) -> RunFolder:
    """What must be equal for a run to be resumed: the settings, the faces and the weights it starts from."""
    from abaw.core.run_folder import RunFolder
    from abaw.stores.checkpoints import load_spec

    plain = to_plain(config)
    plain.pop("out")
    plain["init_weights"] = load_spec(config.init, "static").weights_id if config.init is not None else None
    plain["faces"] = samples.fingerprint()
    return RunFolder(config.out, plain)


def _scorer(reader: ImageReader, image: ImageInput) -> Callable[[nn.Module], Mapping[str, float]]:
    from abaw.evaluation.metrics import score_frames
    from abaw.inference.images import predict_classes

    def score(model: nn.Module) -> Mapping[str, float]:
        scores = score_frames(reader.samples.labels, predict_classes(model, reader, image))
        return {"macro_f1": scores.macro_f1, "accuracy": scores.accuracy}

    return score


def _saver(
    config: TrainStaticConfig, image: ImageInput, training: LabelledFaces, selection: LabelledFaces
) -> Callable[[Path, nn.Module, Mapping[str, Any]], None]:
    from abaw.core.artifacts import provenance
    from abaw.models.static import StaticModel, save_static
    from abaw.protocol.classes import EXPRESSION_CLASSES

    facts = provenance(
        settings={key: value for key, value in to_plain(config).items() if key not in _PATHS},
        faces=[store.name for store in training.stores],
        train_counts=training.class_counts().tolist(),
        selection_counts=selection.class_counts().tolist(),
    )

    def save(folder: Path, model: nn.Module, result: Mapping[str, Any]) -> None:
        assert isinstance(model, StaticModel)
        save_static(folder, model, config.backbone, EXPRESSION_CLASSES, image, {**facts, **result})

    return save
