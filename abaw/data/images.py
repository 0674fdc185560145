"""Batches of face images at a model's input size, read from memory if they fit, otherwise from the stores."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from abaw.core.data_parallel import Part
from abaw.core.errors import ConfigError
from abaw.core.progress import Progress, silent
from abaw.core.seed import numpy_generator
from abaw.data.crops import decode_crops
from abaw.data.face_set import FaceSet
from abaw.data.sampling import ClassSampler
from abaw.data.settings import Balance

_DECODE_AT_ONCE = 256


class FaceImages(NamedTuple):
    """A batch. images: (B, 3, S, S) uint8; labels: (B,) int64, -1 for none; votes: (B, C) float32, shares of the
    annotators' votes; ids: names of the samples."""

    images: Tensor
    labels: Tensor
    votes: Tensor
    ids: tuple[str, ...]


class TrainImages(NamedTuple):
    """What a step of a static method learns from. unlabelled: None for methods that use only labelled faces."""

    labelled: FaceImages
    unlabelled: FaceImages | None

    @property
    def ids(self) -> tuple[str, ...]:
        return self.labelled.ids + (self.unlabelled.ids if self.unlabelled is not None else ())


class ImageReader:
    """Reads samples as uint8 RGB images of one size.

    If all images take at most `cache_mb` MiB, they are decoded once and kept; otherwise each is decoded on every read.
    device: where images are decoded, kept and returned. Raises DataError that names the sample when a crop is damaged.
    """

    def __init__(
        self,
        samples: FaceSet,
        size: int,
        cache_mb: int,
        progress: Progress = silent,
        device: torch.device | str = "cpu",
    ) -> None:
        self.samples = samples
        self._size = size
        self._device = torch.device(device)
        fits = len(samples) * 3 * size * size <= cache_mb * 2**20
        self._cache = self._decode_all(progress) if fits else None

    def __len__(self) -> int:
        return len(self.samples)

    def _decode_all(self, progress: Progress) -> Tensor:
        images = torch.empty((len(self), 3, self._size, self._size), dtype=torch.uint8, device=self._device)
        for start in range(0, len(self), _DECODE_AT_ONCE):
            part = np.arange(start, min(start + _DECODE_AT_ONCE, len(self)))
            images[start : start + len(part)] = self._decode(part)
            progress(start + len(part), len(self))
        return images

    def _decode(self, indices: NDArray[np.integer]) -> Tensor:
        jpegs = [self.samples.jpeg(i) for i in indices]
        return decode_crops(jpegs, self._size, self._names(indices), self._device)

    def _names(self, indices: NDArray[np.integer]) -> tuple[str, ...]:
        return tuple(self.samples.name(i) for i in indices)

    def read(self, indices: NDArray[np.integer]) -> FaceImages:
        """The samples at `indices`, (B,)."""
        images = (
            self._decode(indices) if self._cache is None else self._cache[torch.from_numpy(indices).to(self._device)]
        )
        labels, votes = self.samples.labels[indices], self.samples.votes[indices]
        return FaceImages(images, torch.from_numpy(labels), torch.from_numpy(votes), self._names(indices))


class TrainBatches:
    """(step, part) -> that part of the step's batch, which depends only on the seed, the step and its size.

    Labelled faces are drawn by class according to `balance`, `batch_size` for each part. Unlabelled ones, if given, are
    drawn uniformly, `unlabelled_ratio` for each labelled face. Raises ConfigError for fewer than 2 faces or a ratio
    below 1.
    """

    def __init__(
        self,
        labelled: ImageReader,
        balance: Balance,
        batch_size: int,
        seed: int,
        unlabelled: ImageReader | None = None,
        unlabelled_ratio: int = 1,
    ) -> None:
        _require_batch_size(batch_size)
        if unlabelled_ratio < 1:
            raise ConfigError(f"unlabelled_ratio is {unlabelled_ratio}; expected at least 1")
        self._labelled = labelled
        self._unlabelled = unlabelled
        self._sampler = ClassSampler(labelled.samples.labels, balance)
        self._batch_size = batch_size
        self._unlabelled_size = batch_size * unlabelled_ratio
        self._seed = seed

    def __call__(self, step: int, part: Part) -> TrainImages:
        generator = _of_step(self._seed, "batch", step)
        chosen = self._sampler.draw(self._batch_size * part.count, generator)
        labelled = self._labelled.read(chosen[part.of(self._batch_size)])
        if self._unlabelled is None:
            return TrainImages(labelled, None)
        generator = _of_step(self._seed, "unlabelled batch", step)
        chosen = generator.integers(0, len(self._unlabelled), self._unlabelled_size * part.count)
        return TrainImages(labelled, self._unlabelled.read(chosen[part.of(self._unlabelled_size)]))


class FaceBatches:
    """(step, part) -> that part of the step's batch of faces, drawn uniformly: `batch_size` for each part.

    The batch depends only on the seed, the step and its size. Raises ConfigError for fewer than 2 faces per batch.
    """

    def __init__(self, faces: ImageReader, batch_size: int, seed: int) -> None:
        _require_batch_size(batch_size)
        self._faces = faces
        self._batch_size = batch_size
        self._seed = seed

    def __call__(self, step: int, part: Part) -> FaceImages:
        generator = _of_step(self._seed, "face batch", step)
        chosen = generator.integers(0, len(self._faces), self._batch_size * part.count)
        return self._faces.read(chosen[part.of(self._batch_size)])


def _of_step(seed: int, name: str, step: int) -> np.random.Generator:
    # 0: earlier versions had a batch for each process, numbered from 0.
    return numpy_generator(seed, name, step, 0)


def _require_batch_size(batch_size: int) -> None:
    if batch_size < 2:
        raise ConfigError(f"batch_size is {batch_size}; expected at least 2 (batch norm needs two samples)")
