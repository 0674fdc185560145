from __future__ import annotations

import pytest
import torch
from torch import nn

from abaw.core.errors import ConfigError
from abaw.data.images import LabelledImages
from abaw.models.static import ImageInput
from abaw.semisup.settings import SupervisedSettings
from abaw.semisup.supervised import Supervised


class Fixed(nn.Module):
    """Gives the same logits whatever the images."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits


def batch(labels: list[int]) -> LabelledImages:
    images = torch.randint(0, 256, (len(labels), 3, 16, 16), dtype=torch.uint8)
    return LabelledImages(images, torch.tensor(labels), tuple(map(str, labels)))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_cross_entropy_with_smoothed_labels(smoothing: float) -> None:
    logits = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    labels = [1, 7, 0]
    method = Supervised(Fixed(logits), ImageInput(16), SupervisedSettings("weak", smoothing))
    log_probs = logits.log_softmax(1)
    target = torch.eye(8)[labels] * (1 - smoothing) + smoothing / 8
    assert torch.allclose(method(batch(labels)).loss, -(target * log_probs).sum(1).mean(), atol=1e-6)


def test_accuracy_is_logged() -> None:
    logits = 5 * torch.eye(8)[[0, 1, 2, 3]]
    method = Supervised(Fixed(logits), ImageInput(16), SupervisedSettings())
    assert method(batch([0, 1, 5, 3])).logs["accuracy"] == 0.75


@pytest.mark.parametrize("view", ["weak", "strong"])
def test_views_change_the_images_alone_and_by_the_generator_alone(view: str) -> None:
    method = Supervised(nn.Identity(), ImageInput(16), SupervisedSettings(view))  # type: ignore[arg-type]
    raw = batch([0, 1, 2])
    first, again, other = (method.views(raw, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, other.images)
    assert torch.equal(first.labels, raw.labels) and first.ids == raw.ids


def test_a_smoothing_of_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="label_smoothing is 1.0"):
        SupervisedSettings(label_smoothing=1.0)
