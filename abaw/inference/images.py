"""Classes, probabilities and features of still images from a static model."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from abaw.data.images import ImageReader
from abaw.data.views import unit
from abaw.models.image_input import ImageInput
from abaw.models.static import StaticModel

_BATCH_SIZE = 256


@torch.inference_mode()
def predict_classes(model: nn.Module, reader: ImageReader, image: ImageInput) -> NDArray[np.int64]:
    """The most likely class of every image of `reader`, (N,). model: in eval mode, images -> logits."""

    def classes(views: Tensor) -> Tensor:
        logits: Tensor = model(views)
        return logits.argmax(1)

    return np.concatenate([part.astype(np.int64) for part in _over_images(model, classes, reader, image)])


@torch.inference_mode()
def predict_probs(model: nn.Module, reader: ImageReader, image: ImageInput, flip: bool = False) -> NDArray[np.float32]:
    """The class probabilities of every image of `reader`, (N, C).

    model: in eval mode, images -> logits; flip: average the logits of each image and its mirror image.
    """

    def probs(views: Tensor) -> Tensor:
        logits: Tensor = (model(views) + model(views.flip(3))) / 2 if flip else model(views)
        return logits.float().softmax(1)

    return np.concatenate([part.astype(np.float32) for part in _over_images(model, probs, reader, image)])


@torch.inference_mode()
def read_features(model: StaticModel, reader: ImageReader, image: ImageInput) -> NDArray[np.float32]:
    """The features of every image of `reader`, (N, D). model: in eval mode."""
    return np.concatenate(list(_over_images(model, lambda views: model.features(views).float(), reader, image)))


def _over_images(
    model: nn.Module, function: Callable[[Tensor], Tensor], reader: ImageReader, image: ImageInput
) -> Iterator[NDArray[np.generic]]:
    """The results of `function` on the standardised images, one per batch."""
    device = next(model.parameters()).device
    for start in range(0, len(reader), _BATCH_SIZE):
        part = np.arange(start, min(start + _BATCH_SIZE, len(reader)))
        images = reader.read(part).images.to(device)
        yield function(image.normalise(unit(images))).cpu().numpy()
