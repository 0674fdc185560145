"""Batches of labelled face images, decoded at a model's input size: from memory when they fit, else from the stores."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from abaw.core.errors import ConfigError
from abaw.core.progress import Progress, silent
from abaw.core.seed import numpy_generator
from abaw.data.crops import decode_crops
from abaw.data.labelled import LabelledFaces
from abaw.data.sampling import ClassSampler
from abaw.data.settings import Balance

_DECODE_AT_ONCE = 256


class LabelledImages(NamedTuple):
    """images: (B, 3, S, S), uint8 as read or float32 as viewed; labels: (B,) int64; ids: names of the samples."""

    images: Tensor
    labels: Tensor
    ids: tuple[str, ...]


class ImageReader:
    """Reads samples as uint8 RGB images of one size.

    All images are decoded once and kept when they take at most `cache_mb` MiB; else each is decoded when it is asked
    for. Raises DataError naming the sample when a crop is damaged.
    """

    def __init__(self, samples: LabelledFaces, size: int, cache_mb: int, progress: Progress = silent) -> None:
        self.samples = samples
        self._size = size
        fits = len(samples) * 3 * size * size <= cache_mb * 2**20
        self._cache = self._decode_all(progress) if fits else None

    def __len__(self) -> int:
        return len(self.samples)

    def _decode_all(self, progress: Progress) -> Tensor:
        images = torch.empty((len(self), 3, self._size, self._size), dtype=torch.uint8)
        for start in range(0, len(self), _DECODE_AT_ONCE):
            part = np.arange(start, min(start + _DECODE_AT_ONCE, len(self)))
            images[start : start + len(part)] = self._decode(part)
            progress(start + len(part), len(self))
        return images

    def _decode(self, indices: NDArray[np.integer]) -> Tensor:
        return decode_crops([self.samples.jpeg(i) for i in indices], self._size, self._names(indices))

    def _names(self, indices: NDArray[np.integer]) -> tuple[str, ...]:
        return tuple(self.samples.name(i) for i in indices)

    def read(self, indices: NDArray[np.integer]) -> LabelledImages:
        """The samples of these indices, (B,)."""
        images = self._decode(indices) if self._cache is None else self._cache[torch.from_numpy(indices)]
        return LabelledImages(images, torch.from_numpy(self.samples.labels[indices]), self._names(indices))


class TrainBatches:
    """The batch of any step: which samples it holds depends on the seed, the step and the process alone."""

    def __init__(self, reader: ImageReader, balance: Balance, batch_size: int, seed: int) -> None:
        if batch_size < 2:
            raise ConfigError(f"batch_size is {batch_size}; expected at least 2 (batch norm needs two samples)")
        self._reader = reader
        self._sampler = ClassSampler(reader.samples.labels, balance)
        self._batch_size = batch_size
        self._seed = seed

    def __call__(self, step: int, rank: int) -> LabelledImages:
        generator = numpy_generator(self._seed, "batch", step, rank)
        return self._reader.read(self._sampler.draw(self._batch_size, generator))
