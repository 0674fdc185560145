from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from abaw.core.errors import ConfigError
from abaw.data.face_set import labelled_stills
from abaw.data.images import ImageReader
from abaw.data.views import unit
from abaw.inference import images as module
from abaw.inference.devices import choose_device
from abaw.inference.images import predict_classes, predict_probs
from abaw.models.image_input import ImageInput
from tests.data.faces import still_store


class BrightestPlace(nn.Module):
    """Recognises the images of `tests.data.faces.picture`."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        return self.scale * nn.functional.adaptive_avg_pool2d(images.mean(1), 3).flatten(1)[:, :8]


def test_every_image_gets_its_class_for_any_batch_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = [0, 7, 3, 3, 1, 6, 5]
    reader = ImageReader(labelled_stills(still_store(tmp_path / "a.arrow", labels)), 30, cache_mb=1)
    for at_once in (1, 3, 256):
        monkeypatch.setattr(module, "_BATCH_SIZE", at_once)
        assert predict_classes(BrightestPlace().eval(), reader, ImageInput(30)).tolist() == labels


def test_probabilities_are_of_the_mean_logits_of_an_image_and_its_mirror_image(tmp_path: Path) -> None:
    faces = labelled_stills(still_store(tmp_path / "a.arrow", [0, 7, 3, 3, 1, 6, 5]))
    model, image, reader = BrightestPlace().eval(), ImageInput(30), ImageReader(faces, 30, cache_mb=1)
    plain, both = (predict_probs(model, reader, image, flip=flip) for flip in (False, True))
    standard = image.normalise(unit(reader.read(np.arange(7)).images))
    logits = model(standard), model(standard.flip(3))
    assert torch.allclose(torch.from_numpy(plain), logits[0].softmax(1), atol=1e-5)
    assert torch.allclose(torch.from_numpy(both), ((logits[0] + logits[1]) / 2).softmax(1), atol=1e-5)


def test_auto_is_a_gpu_if_there_is_one() -> None:
    assert choose_device("cpu") == "cpu"
    assert choose_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_missing_gpu_is_reported() -> None:
    with pytest.raises(ConfigError, match="torch finds no GPU"):
        choose_device("cuda")
