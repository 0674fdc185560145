"""Small batches and models for tests of the methods."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from abaw.core.seed import derive_seed
from abaw.data.images import FaceImages, TrainImages
from abaw.models.architecture import Architecture
from abaw.models.image_input import ImageInput
from abaw.models.static import StaticModel, build_static
from abaw.semisup.image_method import ImageMethod, ImageViews, Setup
from abaw.semisup.registry import method_class, settings_class

SIZE = 16
CLASSES = 8


def faces(labels: list[int], seed: int = 0, votes: Tensor | None = None) -> FaceImages:
    generator = torch.Generator().manual_seed(derive_seed(seed, "faces", len(labels)))
    images = torch.randint(0, 256, (len(labels), 3, SIZE, SIZE), dtype=torch.uint8, generator=generator)
    one_hot = torch.nn.functional.one_hot(torch.tensor(labels).clamp_min(0), CLASSES).float()
    return FaceImages(
        images,
        torch.tensor(labels),
        one_hot if votes is None else votes,
        tuple(f"face {i}" for i in range(len(labels))),
    )


def train_images(labelled: int = 8, unlabelled: int = 16, seed: int = 0) -> TrainImages:
    return TrainImages(faces([index % CLASSES for index in range(labelled)], seed), faces([-1] * unlabelled, seed + 1))


EVEN = torch.full((CLASSES,), 1 / CLASSES)


def setup(model: nn.Module | None = None, steps: int = 10, shares: Tensor = EVEN, drawn: Tensor = EVEN) -> Setup:
    network = build_static(Architecture(backbone="small"), CLASSES, SIZE, seed=0) if model is None else model
    return Setup(network, ImageInput(SIZE), steps, shares, drawn)  # type: ignore[arg-type]


def make(name: str, model: nn.Module | None = None, steps: int = 10, **settings: Any) -> ImageMethod[Any]:
    """The method `name` on a small network, or on `model`."""
    return method_class(name)(setup(model, steps), settings_class(name)(**settings))


def views(method: ImageMethod[Any], batch: TrainImages | None = None, seed: int = 0) -> ImageViews:
    return method.views(train_images() if batch is None else batch, torch.Generator().manual_seed(seed))


class Fixed(StaticModel):
    """Returns its parameter as the logits of every image."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__(nn.Identity(), 4, len(logits))
        self.logits = nn.Parameter(logits.clone())

    def forward(self, images: Tensor) -> Tensor:
        return self.logits.expand(len(images), -1)
