"""The settings of a static model and its training: `train-static` makes one run from them, `bench ssl` many."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, make_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from abaw.core.config import ONE_OF, to_plain
from abaw.core.errors import ConfigError
from abaw.core.ranges import require_at_least
from abaw.data.settings import Aggregation, Balance
from abaw.models.architecture import Architecture, Experts
from abaw.semisup.registry import (
    method_class,
    method_file_hash,
    method_files,
    method_name,
    method_names,
    require_method,
    settings_class,
)
from abaw.semisup.settings import LabelledLearning
from abaw.training.settings import TrainSettings

if TYPE_CHECKING:
    from abaw.semisup.image_method import ImageMethod

OWN: Final = "own"


@dataclass(frozen=True, kw_only=True)
class StaticSettings:
    """How a static model is trained, whatever the faces; in addition, each method has a group of settings.

    Args:
        method: training method, or the path of a Python file with one; it has a group of settings with its name
        backbone: small, medium, large, wide_resnet28_2, a classification network of torchvision such as resnet18, or
            timm:NAME, a network of timm (extra timm) such as timm:vit_small_patch14_dinov2.lvd142m
        pretrained: start from the weights that torchvision or timm has for the backbone (downloaded once)
        backbone_weights: start from the weights of the backbone in this file (.safetensors, .pth) instead
        size: side of the square input in pixels
        grey: convert images to grey, for models trained on grey photos that will be used on colour video
        balance: how often each class is drawn: equally often (uniform), by the square root of its count (sqrt), by its
            count (natural), or as the method does by default (own)
        aggregation: what comes between backbone and head: nothing (none), mixtures of experts as in LEAF (experts),
            which work with any method, or the method's default (own)
        experts: the mixtures of `aggregation experts`
        load_balance: weight of the loss that keeps the experts of a mixture equally busy
        batch_size: labelled images per step (and process)
        unlabelled_ratio: unlabelled images per labelled image, for methods that use them
        cache_mb: decoded images are kept in memory if they need at most this many MiB
        decode: where JPEGs are decoded: in threads of the processor (`train.prefetch`) or on the training device
        train: optimiser, schedule, checkpoints
    """

    method: str = "supervised"
    backbone: str = "small"
    pretrained: bool = False
    backbone_weights: Path | None = None
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
        object.__setattr__(self, "method", method_name(self.method))
        require_method(self.method)
        if self.pretrained and self.backbone_weights is not None:
            raise ConfigError("pretrained and backbone_weights are two places to start from; give one of them")
        require_at_least(0, self, "load_balance")

    @property
    def method_class(self) -> type[ImageMethod[Any]]:
        return method_class(self.method)


def with_methods(base: type[StaticSettings], name: str, module: str) -> Any:
    """The dataclass `base` with a group of settings for every method. name: of the new class in `module`."""
    groups = [
        (method, kind, field(default_factory=kind, metadata={ONE_OF: "method"}))
        for method, kind in ((method, settings_class(method)) for method in method_names())
    ]
    taken = {each.name for each in fields(base)} & {method for method, _, _ in groups}
    if taken:
        raise ConfigError(f"method file {taken.pop()}.py: a setting has this name already; rename the file")
    made = make_dataclass(name, groups, bases=(base,), frozen=True, kw_only=True)
    made.__doc__ = base.__doc__
    made.__module__ = module
    return made


def static_recipe_class() -> Any:
    """`StaticSettings` with a group for every method, those in files included."""
    return _recipe_class(tuple((name, settings_class(name)) for name in method_names()))


@cache
def _recipe_class(methods: tuple[tuple[str, type[LabelledLearning]], ...]) -> Any:
    made = with_methods(StaticSettings, "StaticRecipe", __name__)
    made.__reduce__ = _reduced
    return made


def _reduced(recipe: StaticSettings) -> Any:
    """For pickle: a worker process knows neither the class nor the methods in files."""
    return _blank, ([str(path) for path in method_files().values()],), recipe.__dict__


def _blank(files: list[str]) -> Any:
    known = {str(path) for path in method_files().values()}
    for file in files:
        # Not again when it has changed: the settings that follow are of the classes that the first recipe loaded.
        if file not in known:
            method_name(file)
    return object.__new__(static_recipe_class())


StaticRecipe = static_recipe_class()
"""With the methods of the package."""


def recipe_plain(recipe: StaticSettings) -> dict[str, Any]:
    """The settings as saved: only the chosen method's group is included."""
    others = set(method_names()) - {recipe.method}
    return {name: value for name, value in to_plain(recipe).items() if name not in others}


def default_plain(method: str) -> dict[str, Any]:
    """The defaults of settings that a run of an earlier version may lack."""
    return recipe_plain(static_recipe_class()(method=method))


def file_hashes(recipe: StaticSettings) -> dict[str, str | None]:
    """SHA-256 of the files of a recipe by setting, None without one: its paths stay the same when the files change."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.artifacts import file_hash

    weights = recipe.backbone_weights
    return {
        "backbone_weights": file_hash(weights) if weights is not None and weights.is_file() else None,
        "method": method_file_hash(recipe.method),
    }


def balance_of(recipe: StaticSettings) -> Balance:
    return recipe.method_class.balance if recipe.balance == OWN else recipe.balance


def architecture_of(recipe: StaticSettings) -> Architecture:
    method = recipe.method_class
    aggregation: Aggregation = method.aggregation if recipe.aggregation == OWN else recipe.aggregation
    experts = recipe.experts if aggregation == "experts" else None
    return method.architecture(Architecture(backbone=recipe.backbone, experts=experts), getattr(recipe, recipe.method))
