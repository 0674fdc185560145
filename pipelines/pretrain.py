"""`abaw pretrain`: faces without labels -> a backbone from which static models start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from abaw.core.config import to_plain
from abaw.core.errors import ConfigError
from abaw.pretrain.settings import ContraWarpingSettings
from abaw.training.settings import TrainSettings
from abaw.viewer.face_grid import Tile, write_grid
from pipelines.console import progress, result, say
from pipelines.inputs import InputPath

if TYPE_CHECKING:
    from torch import nn

    from abaw.data.images import ImageReader
    from abaw.models.architecture import Architecture
    from abaw.models.static import ImageInput
    from abaw.training.loop import TrainResult

WARPS = "figures/warps.png"
_PLACES = ("out", "faces")
_FACES_SHOWN, _WARPS_SHOWN, _SIDE_SHOWN = 8, 7, 112


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """Pre-train a backbone on unlabelled faces with ContraWarping, or plain BYOL (`--contrawarping.warp_weight 0`).

    Args:
        out: run folder; an existing run is resumed. `--init OUT/last` starts a static model from the backbone
        faces: image sets or faces stores of videos, or folders of them; existing labels are ignored
        every: use one frame in N of a video
        backbone: small, medium, wide_resnet28_2, or a classification network of torchvision such as resnet18
        pretrained: start from torchvision's ImageNet weights (downloaded once)
        size: side of the square input in pixels
        grey: convert images to grey, for models trained on grey photos that will be used on colour video
        batch_size: faces per step (and process)
        cache_mb: decoded images are kept in memory if they need at most this many MiB
        decode: where JPEGs are decoded: in threads of the processor (`train.prefetch`) or on the training device
        contrawarping: the method
        train: optimiser, schedule, checkpoints; the target network is the average of `train.ema_decay`

    Examples:
        abaw pretrain --faces faces/ --out runs/pretrain
        abaw pretrain --config pipelines/recipes/pretrain_contrawarping.yaml --faces faces/ --out runs/pretrain
    """

    out: Path
    faces: tuple[InputPath, ...]
    every: int = 10
    backbone: str = "small"
    pretrained: bool = False
    size: int = 48
    grey: bool = False
    batch_size: int = 64
    cache_mb: int = 2048
    decode: Literal["cpu", "device"] = "cpu"
    contrawarping: ContraWarpingSettings = field(default_factory=ContraWarpingSettings)
    train: TrainSettings = field(default_factory=lambda: TrainSettings(ema_decay=0.99))

    def __post_init__(self) -> None:
        if self.train.ema_decay == 0:
            raise ConfigError(
                "train.ema_decay is 0: the target is the average of the weights; set it, for instance 0.99"
            )


def run(config: PretrainConfig) -> int:
    outcome = pretrain(config)
    result(f"{config.out / 'last'}: step {outcome.steps}; start from it with --init, look at it with `abaw probe`")
    return 0


def pretrain(config: PretrainConfig) -> TrainResult:
    """One run in its folder, resumed when it was begun. The same settings and faces give the same backbone."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.run_folder import RunFolder
    from abaw.data.face_set import join, unlabelled_faces
    from abaw.data.images import FaceBatches, ImageReader
    from abaw.models.architecture import Architecture
    from abaw.models.static import ImageInput
    from abaw.pretrain.contrawarping import build_contrawarping
    from abaw.stores.arrow import find_stores
    from abaw.training.loop import launch, train

    faces = join([unlabelled_faces(path, config.every) for path in find_stores(config.faces)])
    architecture, image = Architecture(backbone=config.backbone), ImageInput(config.size, config.grey)
    method = build_contrawarping(
        architecture, image, config.contrawarping, seed=config.train.seed, pretrained=config.pretrained
    )
    fabric = launch(config.train)
    settings = {name: value for name, value in to_plain(config).items() if name not in _PLACES}
    with fabric.rank_zero_first():
        folder = RunFolder(config.out, {**settings, "faces": faces.fingerprint()})
    say(f"{len(faces)} faces")
    if fabric.is_global_zero and config.contrawarping.warped:
        write_warps(config.out / WARPS, config, ImageReader(faces, _SIDE_SHOWN, cache_mb=0))
    device = fabric.device if config.decode == "device" else "cpu"
    with progress("pretrain", "steps") as hook:
        return train(
            fabric,
            method,
            FaceBatches(
                ImageReader(faces, config.size, config.cache_mb, device=device), config.batch_size, config.train.seed
            ),
            folder,
            config.train,
            evaluate=None,
            save=_saver(architecture, image, {"settings": settings, "num_faces": len(faces)}),
            select_by="",
            progress=hook,
        )


def write_warps(path: Path, config: PretrainConfig, reader: ImageReader) -> None:
    """Some faces, and what the warps of the recipe make of them: they must read as other expressions."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    import numpy as np
    import torch

    from abaw.core.seed import derive_seed, numpy_generator
    from abaw.pretrain.local_warp import warp_at_random

    count = min(_FACES_SHOWN, len(reader))
    chosen = numpy_generator(config.train.seed, "warps shown").choice(len(reader), count, replace=False)
    images = reader.read(chosen).images.float()
    generator = torch.Generator().manual_seed(derive_seed(config.train.seed, "warps shown"))
    versions = [images, *(warp_at_random(images, config.contrawarping.warp, generator) for _ in range(_WARPS_SHOWN))]
    pictures = [each.round().to(torch.uint8).permute(0, 2, 3, 1).numpy() for each in versions]
    rows = [[Tile(np.ascontiguousarray(version[face])) for version in pictures] for face in range(count)]
    write_grid(path, rows, heads=("as it is", *(f"warp {k + 1}" for k in range(_WARPS_SHOWN))))


def _saver(
    architecture: Architecture, image: ImageInput, facts: Mapping[str, Any]
) -> Callable[[Path, nn.Module, Mapping[str, Any]], None]:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.artifacts import provenance
    from abaw.models.static import save_backbone
    from abaw.pretrain.contrawarping import Projected

    written = provenance(**facts)

    def save(folder: Path, model: nn.Module, outcome: Mapping[str, Any]) -> None:
        assert isinstance(model, Projected)
        save_backbone(folder, model.backbone, model.feature_dim, architecture, image, {**written, **outcome})

    return save
