"""Faces + static model -> features: one row per row of the faces store, streamed in constant memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from abaw.core.artifacts import provenance, quick_hash, value_hash
from abaw.core.errors import DataError
from abaw.core.progress import Progress, silent
from abaw.core.ranges import require_at_least
from abaw.data.crops import decode_crops
from abaw.data.views import unit
from abaw.models.static import ImageInput, StaticModel, image_input, load_static
from abaw.stores.arrow import StoreError, is_done
from abaw.stores.faces import FaceStore, require_crop
from abaw.stores.features import feature_batch, write_features
from abaw.stores.spec import Spec

Outputs = Literal["features", "logits"]


@dataclass(frozen=True, slots=True)
class Extractor:
    """A static model that computes features. Raises ConfigError for a batch size below 1.

    model: in eval mode on `device`; flip: average the features of each image and its mirror image; batch_size: frames
    in memory at once; outputs: the backbone's features, or the classifier's logits instead.
    """

    model: StaticModel
    spec: Spec
    device: torch.device
    flip: bool = False
    batch_size: int = 128
    outputs: Outputs = "features"

    def __post_init__(self) -> None:
        require_at_least(1, self, "batch_size")

    @property
    def image(self) -> ImageInput:
        return image_input(self.spec)

    @property
    def dim(self) -> int:
        """D, numbers per frame."""
        return self.spec.feature_dim if self.outputs == "features" else len(self.spec.classes)

    @property
    def source(self) -> str:
        """The name of these features in stores: the checkpoint's `weights_id`, followed by `/logits` for logits."""
        return self.spec.weights_id if self.outputs == "features" else f"{self.spec.weights_id}/logits"

    @torch.inference_mode()
    def features(self, images: Tensor) -> NDArray[np.float16]:
        """images (B, 3, S, S) uint8 -> (B, D)."""
        standard = self.image.normalise(unit(images.to(self.device)))
        features = self.model.features(standard)
        if self.flip:
            features = (features + self.model.features(standard.flip(3))) / 2
        if self.outputs == "logits":
            features = self.model.classify(features)
        half: NDArray[np.float16] = features.half().cpu().numpy()
        return half


def load_extractor(
    checkpoint: Path, device: torch.device, flip: bool = False, batch_size: int = 128, outputs: Outputs = "features"
) -> Extractor:
    """An extractor of a static checkpoint. Raises CheckpointError when it is missing, damaged or not static."""
    model, spec = load_static(checkpoint)
    return Extractor(model.to(device), spec, device, flip, batch_size, outputs)


def write_video_features(faces: FaceStore, extractor: Extractor, path: Path, progress: Progress = silent) -> bool:
    """Write the features of one video to `path`; False when they already exist, made from the same faces.

    Raises StoreError for an image set, a kind of crop that the model does not expect, or when `path` has other
    features, and DataError for a damaged crop or a feature
    that does not fit float16.
    """
    if not faces.is_video:
        raise StoreError(f"{faces.store.path}: holds stills; features need the frames of a video")
    require_crop(faces, extractor.image.crop, f"the static model {extractor.spec.weights_id}")
    fingerprint = _fingerprint(faces, extractor)
    if is_done(path, fingerprint):
        return False
    spec = extractor.spec
    meta = provenance(
        fingerprint=fingerprint,
        backbone=extractor.source,
        classes=list(spec.classes),
        trained_on=list(spec.training.get("faces", ())),
        flip=extractor.flip,
        fps=faces.meta.get("fps"),
        faces={key: value for key, value in faces.meta.items() if key != "kind"},
    )
    write_features(path, extractor.dim, _batches(faces, extractor, progress), meta)
    return True


def _fingerprint(faces: FaceStore, extractor: Extractor) -> str:
    source = faces.meta.get("fingerprint") or quick_hash(faces.store.path)
    return value_hash(
        {"faces": source, "weights": extractor.spec.weights_sha256, "flip": extractor.flip}
        | ({"outputs": "logits"} if extractor.outputs == "logits" else {})
    )


def _batches(faces: FaceStore, extractor: Extractor, progress: Progress) -> Iterator[pa.RecordBatch]:
    frames = faces.keys.to_numpy().astype(np.int32)
    valid = faces.valid
    progress(0, len(faces))
    for start in range(0, len(faces), extractor.batch_size):
        part = slice(start, min(start + extractor.batch_size, len(faces)))
        features = np.zeros((part.stop - start, extractor.dim), dtype=np.float16)
        rows = np.flatnonzero(valid[part]) + start
        if len(rows):
            features[rows - start] = _features_of(faces, rows, extractor)
        yield feature_batch(frames[part], valid[part], features)
        progress(part.stop, len(faces))


def _features_of(faces: FaceStore, rows: NDArray[np.integer], extractor: Extractor) -> NDArray[np.float16]:
    """Features of rows that have a face, (B, D)."""
    names = [f"{faces.store.path}:{faces.keys[int(row)].as_py()}" for row in rows]
    jpegs = [faces.jpeg(int(row)) or b"" for row in rows]
    features = extractor.features(decode_crops(jpegs, extractor.image.size, names))
    finite = np.isfinite(features).all(axis=1)
    if not finite.all():
        bad = names[int(np.flatnonzero(~finite)[0])]
        raise DataError(f"{bad}: its feature does not fit float16 (infinite or not a number); train the model again")
    return features
