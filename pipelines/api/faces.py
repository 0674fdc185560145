"""Predictions of single pictures."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.stores.spec import GRAPH, SPEC, WEIGHTS
from abaw.weights import resolve_checkpoint
from pipelines.api.call import ProgressChoice
from pipelines.api.functions import predict_video
from pipelines.api.reading import PathLike
from pipelines.api.results import VideoResult

if TYPE_CHECKING:
    from abaw.inference.video import VideoModels

_BATCH = 128


def predict_faces(
    crops: NDArray[np.uint8],
    *,
    checkpoint: PathLike = "builtin",
    flip: bool = False,
    accelerator: Literal["auto", "cpu", "cuda"] = "auto",
) -> NDArray[np.float32]:
    """The probabilities of face crops, (N, 8) float32, in the order of `abaw.CLASSES`.

    crops: (N, H, W, 3) uint8 RGB, each one face, aligned or a whole picture, as the checkpoint expects; they are
    resized. flip: average over each crop and its mirror image. Raises DataError for another shape or type.
    """
    found = np.asarray(crops)
    if found.dtype != np.uint8 or found.ndim != 4 or found.shape[3] != 3 or 0 in found.shape[1:]:
        raise DataError(f"crops: expected (N, H, W, 3) uint8 RGB, found {found.shape} {found.dtype}")
    # Loaded on use: `import abaw` is answered without them.
    from abaw.inference.features import features_of_crops
    from abaw.models.running import softmax

    extractor = replace(_models(Path(checkpoint), accelerator, _state(Path(checkpoint))).extractor, flip=flip)
    head = extractor.head
    if head is None:
        raise DataError(f"checkpoint {checkpoint}: {extractor.name} has no expression head; give a static checkpoint")
    parts = [np.empty((0, len(head.classes)), np.float32)]
    for start in range(0, len(found), _BATCH):
        features = features_of_crops(found[start : start + _BATCH], extractor)
        parts.append(softmax(head.classify(features)))
    return np.concatenate(parts)


def _state(checkpoint: Path) -> tuple[Path, *tuple[tuple[int, int], ...]]:
    """Differs when a path leads to another model: in another folder, or since it was trained on or replaced."""
    found = resolve_checkpoint(checkpoint, "static").resolve()
    files = (found, found / SPEC, found / WEIGHTS, found / GRAPH)
    return found, *((stat.st_mtime_ns, stat.st_size) for stat in (file.stat() for file in files if file.is_file()))


@lru_cache(maxsize=2)
def _models(checkpoint: Path, accelerator: Literal["auto", "cpu", "cuda"], state: Hashable) -> VideoModels:
    """state: of the checkpoint; a checkpoint in another state is loaded again."""
    # Loaded on use: `import abaw` is answered without it.
    from abaw.inference.video import load_models

    return load_models(checkpoint, accelerator=accelerator)


def predict_images(
    paths: PathLike | Sequence[PathLike], *, progress: ProgressChoice = None, **settings: Any
) -> VideoResult:
    """Find the faces in photos and predict them; as `predict_video`, which has the keywords, with everybody shown."""
    return predict_video(paths, progress=progress, **{"subjects": "all", **settings})
