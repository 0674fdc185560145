"""`abaw pretrain`: faces without labels -> a backbone from which static models start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from abaw.core.config import part_of
from abaw.pretrain.recipe import PretrainRecipe
from pipelines.console import progress, result, say
from pipelines.inputs import InputPath


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(PretrainRecipe):
    """Pre-train a backbone on unlabelled faces with ContraWarping, or plain BYOL (`--contrawarping.warp_weight 0`).

    Args:
        out: run folder; an existing run is resumed. `--init OUT/last` starts a static model from the backbone
        faces: image sets or faces stores of videos, or folders of them; existing labels are ignored
        every: use one frame in N of a video

    Examples:
        abaw pretrain --faces faces/ --out runs/pretrain
        abaw pretrain --config pretrain_contrawarping --faces faces/ --out runs/pretrain
    """

    out: Path
    faces: tuple[InputPath, ...]
    every: int = 10


def run(config: PretrainConfig) -> int:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.data.face_set import join, unlabelled_faces
    from abaw.pretrain.train import pretrain
    from abaw.stores.arrow import find_stores

    faces = join([unlabelled_faces(path, config.every) for path in find_stores(config.faces)])
    say(f"{len(faces)} faces")
    with progress("pretrain", "steps") as hook:
        outcome = pretrain(part_of(config, PretrainRecipe), faces, config.out, hook, {"every": config.every})
    result(f"{config.out / 'last'}: step {outcome.steps}; start from it with --init, examine it with `abaw probe`")
    return 0
