"""A recipe of the static model, and one training run by it. `train-static` makes one run, `bench ssl` many."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, make_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from abaw.core.config import to_plain
from abaw.core.errors import ConfigError, nearest
from abaw.core.progress import Progress, silent
from abaw.data.settings import Aggregation, Balance
from abaw.models.architecture import Architecture, Experts
from abaw.semisup.registry import find_methods
from abaw.training.settings import TrainSettings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from abaw.core.run_folder import RunFolder
    from abaw.data.face_set import FaceSet
    from abaw.data.images import ImageReader
    from abaw.models.static import ImageInput, StaticModel
    from abaw.semisup.image_method import ImageMethod
    from abaw.training.loop import TrainResult

OWN: Final = "own"


@dataclass(frozen=True, kw_only=True)
class StaticSettings:
    """How a static model is trained, whatever the faces; beside these, each method has a group of settings.

    Args:
        method: how it learns; each method has a group of settings of its name
        backbone: small, medium, wide_resnet28_2, or a classification network of torchvision such as resnet18
        pretrained: start from torchvision's weights for ImageNet (downloaded once)
        size: side of the square input in pixels
        grey: look at the grey of the images alone: for models trained on grey photos that are to see colour video
        balance: how often a class is drawn: own is as the method has it; all alike, by the root of its count, by count
        aggregation: what stands between backbone and head: own is as the method has it; none; or mixtures of experts,
            LEAF's, which fit any method
        experts: the mixtures of `aggregation experts`
        load_balance: weight of the loss that keeps the experts of a mixture equally busy
        batch_size: labelled images a step (and process)
        unlabelled_ratio: unlabelled images for each labelled one, where the method takes them
        cache_mb: decoded images are kept in memory when they take at most so many MiB
        decode: where JPEGs are decoded: in the processor's threads (`train.prefetch`), or on the device that trains
        train: optimiser, schedule, checkpoints
    """

    method: str = "supervised"
    backbone: str = "small"
    pretrained: bool = False
    size: int = 48
    grey: bool = False
    balance: Literal["own", "uniform", "sqrt", "natural"] = OWN
    aggregation: Literal["own", "none", "experts"] = OWN
    experts: Experts = field(default_factory=Experts)
    load_balance: float = 0.01
    batch_size: int = 64
    unlabelled_ratio: int = 2
    cache_mb: int = 2048
    decode: Literal["cpu", "device"] = "cpu"
    train: TrainSettings = field(default_factory=TrainSettings)

    def __post_init__(self) -> None:
        if self.method not in (names := list(find_methods())):
            raise ConfigError(f"no method '{self.method}'; there are {', '.join(names)}.{nearest(self.method, names)}")
        if self.load_balance < 0:
            raise ConfigError(f"load_balance is {self.load_balance}; expected at least 0")

    @property
    def method_class(self) -> type[ImageMethod[Any]]:
        return find_methods()[self.method]


def with_methods(base: type[StaticSettings], name: str, module: str) -> Any:
    """The dataclass `base` with a group of settings for every method; `name` is what it is called in `module`."""
    groups = [
        (method, each.settings_class, field(default_factory=each.settings_class))
        for method, each in find_methods().items()
    ]
    made = make_dataclass(name, groups, bases=(base,), frozen=True, kw_only=True)
    made.__doc__ = base.__doc__
    made.__module__ = module
    return made


StaticRecipe = with_methods(StaticSettings, "StaticRecipe", __name__)
"""`StaticSettings` with a group for every method."""


def recipe_plain(recipe: StaticSettings) -> dict[str, Any]:
    """The settings as they are saved: of the methods' groups, that of the method alone."""
    others = set(find_methods()) - {recipe.method}
    return {name: value for name, value in to_plain(recipe).items() if name not in others}


def default_plain(method: str) -> dict[str, Any]:
    """What settings have that a run of an earlier version does not name."""
    return recipe_plain(StaticRecipe(method=method))


def balance_of(recipe: StaticSettings) -> Balance:
    return recipe.method_class.balance if recipe.balance == OWN else recipe.balance


def architecture_of(recipe: StaticSettings) -> Architecture:
    method = recipe.method_class
    aggregation: Aggregation = method.aggregation if recipe.aggregation == OWN else recipe.aggregation
    experts = recipe.experts if aggregation == "experts" else None
    return method.architecture(Architecture(backbone=recipe.backbone, experts=experts), getattr(recipe, recipe.method))


def train_static_on(
    recipe: StaticSettings,
    training: FaceSet,
    selection: FaceSet | None,
    unlabelled: FaceSet | None,
    out: Path,
    init: Path | None = None,
    hook: Progress = silent,
    facts: Mapping[str, Any] | None = None,
) -> TrainResult:
    """One run in its folder, resumed when it was begun; the same recipe and faces give the same model.

    selection: labelled faces on which the best checkpoint is chosen; None keeps the last one alone. unlabelled: taken
    by methods that learn from such faces, which must have them. init: a static checkpoint to start from. facts: what
    else makes this run and no other; it goes into the run's folder and its checkpoints.
    Raises ConfigError when a method lacks its unlabelled faces or its teacher.
    """
    from abaw.data.images import ImageReader, TrainBatches
    from abaw.models.static import ImageInput
    from abaw.semisup.image_method import Setup
    from abaw.training.loop import launch, train

    _require_fit(recipe, unlabelled)
    if not recipe.method_class.takes_unlabelled:
        unlabelled = None
    image = ImageInput(recipe.size, recipe.grey)
    setup = Setup(
        _start(recipe, init),
        image,
        recipe.train.steps,
        *_class_shares(training, balance_of(recipe)),
        recipe.load_balance,
    )
    fabric = launch(recipe.train)
    with fabric.rank_zero_first():
        run_folder = _open_run(recipe, training, selection, unlabelled, out, init, facts or {})

    def read(faces: FaceSet) -> ImageReader:
        device = fabric.device if recipe.decode == "device" else "cpu"
        return ImageReader(faces, recipe.size, recipe.cache_mb, device=device)

    return train(
        fabric,
        recipe.method_class(setup, getattr(recipe, recipe.method)),
        TrainBatches(
            read(training),
            balance_of(recipe),
            recipe.batch_size,
            recipe.train.seed,
            None if unlabelled is None else read(unlabelled),
            recipe.unlabelled_ratio,
        ),
        run_folder,
        recipe.train,
        evaluate=None if selection is None else _scorer(read(selection), image),
        save=_saver(recipe, image, training, selection, unlabelled, init, facts or {}),
        select_by="macro_f1",
        progress=hook,
    )


def warm_start(
    recipe: StaticSettings,
    steps: int,
    training: FaceSet,
    selection: FaceSet | None,
    out: Path,
    init: Path | None = None,
    hook: Progress = silent,
) -> Path:
    """Train on the labelled faces alone, as `supervised` does; returns the checkpoint from which a method can start."""
    from abaw.training.loop import LAST

    train = replace(recipe.train, steps=steps, warmup_steps=min(recipe.train.warmup_steps, steps - 1))
    recipe = replace(recipe, method="supervised", aggregation=OWN, train=train)
    train_static_on(recipe, training, selection, None, out, init, hook)
    return out / LAST


def _require_fit(recipe: StaticSettings, unlabelled: FaceSet | None) -> None:
    if recipe.method_class.takes_unlabelled and unlabelled is None:
        raise ConfigError(f"method {recipe.method} learns from unlabelled faces too: give --unlabelled STORE")
    settings = getattr(recipe, recipe.method)
    if getattr(settings, "teacher", "model") == "average" and recipe.train.ema_decay == 0:
        raise ConfigError(
            f"{recipe.method}.teacher is average, but train.ema_decay 0 keeps none; use --{recipe.method}.teacher model"
        )


def _class_shares(training: FaceSet, balance: Balance) -> tuple[Tensor, Tensor]:
    """(C,) shares of the classes, and how often each is drawn."""
    import torch

    from abaw.data.sampling import ClassSampler

    counts = training.class_counts()
    drawn = ClassSampler(training.labels, balance).prior(len(counts))
    return torch.from_numpy(counts / counts.sum()), torch.from_numpy(drawn)


def _start(recipe: StaticSettings, init: Path | None) -> StaticModel:
    from abaw.models.static import build_static, initialise
    from abaw.protocol.classes import EXPRESSION_CLASSES

    architecture = architecture_of(recipe)
    model = build_static(
        architecture, len(EXPRESSION_CLASSES), recipe.size, seed=recipe.train.seed, pretrained=recipe.pretrained
    )
    if init is not None:
        initialise(model, architecture, EXPRESSION_CLASSES, init)
    return model


def _open_run(
    recipe: StaticSettings,
    training: FaceSet,
    selection: FaceSet | None,
    unlabelled: FaceSet | None,
    out: Path,
    init: Path | None,
    facts: Mapping[str, Any],
) -> RunFolder:
    """What must be equal for a run to be resumed: the settings, the faces and the weights it starts from."""
    from abaw.core.run_folder import RunFolder
    from abaw.stores.checkpoints import load_spec

    faces = {"training": training, "selection": selection, "unlabelled": unlabelled}
    return RunFolder(
        out,
        {
            **recipe_plain(recipe),
            **facts,
            "init_weights": load_spec(init).weights_id if init is not None else None,
            "faces": {name: None if part is None else part.fingerprint() for name, part in faces.items()},
        },
        default_plain(recipe.method),
    )


def _scorer(reader: ImageReader, image: ImageInput) -> Callable[[nn.Module], Mapping[str, float]]:
    from abaw.evaluation.metrics import score_frames
    from abaw.inference.images import predict_classes

    def score(model: nn.Module) -> Mapping[str, float]:
        scores = score_frames(reader.samples.labels, predict_classes(model, reader, image))
        return {"macro_f1": scores.macro_f1, "accuracy": scores.accuracy}

    return score


def _saver(
    recipe: StaticSettings,
    image: ImageInput,
    training: FaceSet,
    selection: FaceSet | None,
    unlabelled: FaceSet | None,
    init: Path | None,
    facts: Mapping[str, Any],
) -> Callable[[Path, nn.Module, Mapping[str, Any]], None]:
    """Saves checkpoints that tell their whole descent: of the one they start from, what it tells, and so on."""
    from abaw.core.artifacts import provenance
    from abaw.models.static import StaticModel, save_static
    from abaw.protocol.classes import EXPRESSION_CLASSES
    from abaw.stores.checkpoints import load_spec

    start = None if init is None else load_spec(init)
    written = provenance(
        settings={**recipe_plain(recipe), **facts},
        faces=[store.name for store in training.stores],
        train_counts=training.class_counts().tolist(),
        selection_counts=None if selection is None else selection.class_counts().tolist(),
        unlabelled=None if unlabelled is None else len(unlabelled),
        init=None if start is None else {"weights": start.weights_id, "training": start.training},
    )

    def save(folder: Path, model: nn.Module, result: Mapping[str, Any]) -> None:
        assert isinstance(model, StaticModel)
        save_static(folder, model, architecture_of(recipe), EXPRESSION_CLASSES, image, {**written, **result})

    return save


def score_static(
    checkpoint: Path, faces: FaceSet, accelerator: Literal["auto", "cpu", "cuda"] = "auto", flip: bool = False
) -> dict[str, Any]:
    """macro_f1, accuracy and class_f1, (C,), of a checkpoint on labelled faces. flip: with the mirror image."""
    from abaw.data.images import ImageReader
    from abaw.evaluation.metrics import score_frames
    from abaw.inference.devices import choose_device
    from abaw.inference.images import predict_classes
    from abaw.models.static import image_input, load_static

    model, spec = load_static(checkpoint)
    image = image_input(spec)
    reader = ImageReader(faces, image.size, cache_mb=0)
    predicted = predict_classes(model.to(choose_device(accelerator)), reader, image, flip=flip)
    scores = score_frames(faces.labels, predicted)
    return {
        "macro_f1": scores.macro_f1,
        "accuracy": scores.accuracy,
        "class_f1": [each.f1 for each in scores.per_class],
    }
