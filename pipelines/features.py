"""`abaw features`: faces + static checkpoint -> features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines.batch import run_batch
from pipelines.console import progress
from pipelines.inputs import CheckpointPath, InputPath


@dataclass(frozen=True, kw_only=True)
class FeaturesConfig:
    """Compute the features of the face in every frame.

    Args:
        faces: faces stores of videos, or folders of them
        checkpoint: folder of a static checkpoint; builtin is the one of the package
        out: folder for the features stores; existing ones that were made from the same faces are kept
        outputs: features of the backbone, or the logits of its classifier: few numbers, which a temporal model does not
            memorise
        flip: mean of the features of each face and its mirror image (takes twice as long)
        batch_size: frames per forward pass
        accelerator: where to compute; auto uses a GPU if there is one

    Examples:
        abaw features --faces faces/ --checkpoint runs/static/last --out features/
        abaw features --faces faces/ --checkpoint builtin --outputs logits --out logits/
    """

    faces: tuple[InputPath, ...]
    checkpoint: CheckpointPath
    out: Path
    outputs: Literal["features", "logits"] = "features"
    flip: bool = False
    batch_size: int = 128
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"


def run(config: FeaturesConfig) -> int:
    """Exit status: 1 when a store failed, else 0."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.inference.devices import choose_device
    from abaw.inference.features import load_extractor, write_video_features
    from abaw.stores.arrow import find_stores
    from abaw.stores.faces import open_faces
    from abaw.weights import resolve_checkpoint

    extractor = load_extractor(
        resolve_checkpoint(config.checkpoint, "static"),
        choose_device(config.accelerator),
        flip=config.flip,
        batch_size=config.batch_size,
        outputs=config.outputs,
    )

    def work(path: Path) -> str:
        faces = open_faces(path)
        with progress(path.stem, "frames") as hook:
            written = write_video_features(faces, extractor, config.out / path.name, hook)
        return f"{len(faces)} frames, {int(faces.valid.sum())} with a face" if written else "is there already"

    return run_batch(find_stores(config.faces), lambda path: path.stem, work)
