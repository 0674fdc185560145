"""Classes of still images, as a static model sees them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from abaw.data.images import ImageReader
from abaw.data.views import unit
from abaw.models.static import ImageInput

_IMAGES_A_BATCH = 256


@torch.inference_mode()
def predict_classes(model: nn.Module, reader: ImageReader, image: ImageInput, flip: bool = False) -> NDArray[np.int64]:
    """The most likely class of every image of `reader`, (N,).

    model: in eval mode, images -> logits; flip: by the mean logits of each image and its mirror image.
    """
    device = next(model.parameters()).device
    classes = np.empty(len(reader), dtype=np.int64)
    for start in range(0, len(reader), _IMAGES_A_BATCH):
        part = np.arange(start, min(start + _IMAGES_A_BATCH, len(reader)))
        images = reader.read(part).images.to(device)
        views = image.normalise(unit(images))
        logits = model(views) + model(views.flip(3)) if flip else model(views)
        classes[part] = logits.argmax(1).cpu().numpy()
    return classes
