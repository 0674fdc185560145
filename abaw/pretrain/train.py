"""One pre-training run in its own folder: faces without labels -> a backbone from which static models start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from abaw.core.artifacts import provenance
from abaw.core.config import to_plain
from abaw.core.errors import ConfigError
from abaw.core.progress import Progress, silent
from abaw.core.run_folder import RunFolder
from abaw.data.face_set import FaceSet
from abaw.data.images import FaceBatches, ImageReader
from abaw.models.architecture import Architecture
from abaw.models.image_input import ImageInput
from abaw.models.static import image_for, save_backbone
from abaw.pretrain.contrawarping import Projected, build_contrawarping
from abaw.pretrain.recipe import PretrainRecipe
from abaw.pretrain.warp_figure import write_warps
from abaw.stores.faces import common_crop
from abaw.training.launch import launch, with_whole_batch
from abaw.training.loop import TrainResult, train

WARPS = "figures/warps.png"


def pretrain(
    recipe: PretrainRecipe,
    faces: FaceSet,
    out: Path,
    hook: Progress = silent,
    facts: Mapping[str, Any] | None = None,
) -> TrainResult:
    """Train a backbone; a run that exists in `out` is resumed. A figure shows what the warps do to some faces.

    facts: what else distinguishes this run from others; kept in its folder and its checkpoints. Raises ConfigError when
    the folder holds a run with other settings or faces, or when faces that are not aligned are to be warped, and
    StoreError when they are of several kinds of crop.
    """
    architecture, crop = Architecture(backbone=recipe.backbone), common_crop(faces.stores)
    if crop.kind == "box" and recipe.contrawarping.warped:
        raise ConfigError(
            f"{faces.stores[0].store.path}: holds {crop} crops, but warps move eyes, brows and mouth where aligned "
            "crops have them; give aligned faces, or set --contrawarping.warp_weight 0"
        )
    image = image_for(recipe.backbone, recipe.size, recipe.grey, crop)
    seed = recipe.train.seed
    method = build_contrawarping(architecture, image, recipe.contrawarping, seed=seed, pretrained=recipe.pretrained)
    fabric = launch(recipe.train)
    settings = {**(facts or {}), **to_plain(recipe)}
    with fabric.rank_zero_first():
        folder = RunFolder(
            out, {**settings, "faces": faces.fingerprint()}, to_plain(PretrainRecipe()), with_whole_batch
        )
    if fabric.is_global_zero and recipe.contrawarping.warped:
        write_warps(out / WARPS, faces, recipe.contrawarping.warp, seed)
    device = fabric.device if recipe.decode == "device" else "cpu"
    return train(
        fabric,
        method,
        FaceBatches(ImageReader(faces, recipe.size, recipe.cache_mb, device=device), recipe.batch_size, seed),
        folder,
        recipe.train,
        evaluate=None,
        save=_saver(
            architecture,
            image,
            {"settings": settings, "num_faces": len(faces), "unlabelled_faces": [store.name for store in faces.stores]},
        ),
        select_by="",
        progress=hook,
    )


def _saver(
    architecture: Architecture, image: ImageInput, facts: Mapping[str, Any]
) -> Callable[[Path, nn.Module, Mapping[str, Any]], None]:
    written = provenance(**facts)

    def save(folder: Path, model: nn.Module, outcome: Mapping[str, Any]) -> None:
        assert isinstance(model, Projected)
        save_backbone(folder, model.backbone, model.feature_dim, architecture, image, {**written, **outcome})

    return save
