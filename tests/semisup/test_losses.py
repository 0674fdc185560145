from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from abaw.semisup.losses import class_balanced_cross_entropy, info_nce, masked_cross_entropy, smoothed


def test_smoothed_targets_stay_distributions() -> None:
    targets = smoothed(torch.tensor([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0]]), 0.2)
    assert targets.sum(1).tolist() == pytest.approx([1, 1])
    assert targets[0].tolist() == pytest.approx([0.85, 0.05, 0.05, 0.05])


def test_the_mask_is_per_sample() -> None:
    """Only one sample counts; a mask from the batch's mean would choose all or none."""
    logits = torch.tensor([[2.0, 0], [0, 3.0], [1.0, 0]], requires_grad=True)
    pseudo = torch.tensor([1, 1, 0])
    loss = masked_cross_entropy(logits, pseudo, torch.tensor([False, True, False]))
    assert float(loss) == pytest.approx(math.log(1 + math.exp(-3)) / 3)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad.abs().sum(1).bool().tolist() == [False, True, False]


def test_without_chosen_samples_loss_and_gradient_are_zero() -> None:
    logits = torch.randn(4, 3, requires_grad=True)
    loss = masked_cross_entropy(logits, torch.zeros(4, dtype=torch.long), torch.zeros(4, dtype=torch.bool))
    loss.backward()
    assert float(loss) == 0 and logits.grad is not None and not logits.grad.any()


def test_the_balanced_loss_weights_classes_equally() -> None:
    logits = torch.tensor([[4.0, 0], [4.0, 0], [4.0, 0], [4.0, 0]])
    loss = class_balanced_cross_entropy(logits, torch.tensor([0, 0, 0, 1]))
    right, wrong = math.log(1 + math.exp(-4)), math.log(1 + math.exp(4))
    assert float(loss) == pytest.approx((right + wrong) / 2, rel=1e-5)


def test_on_a_class_uniform_batch_the_balanced_loss_is_cross_entropy() -> None:
    logits, labels = torch.randn(8, 4), torch.arange(8) % 4
    assert torch.allclose(class_balanced_cross_entropy(logits, labels), F.cross_entropy(logits, labels))


def test_info_nce_by_hand() -> None:
    first = torch.eye(2)
    assert float(info_nce(first, first, 1.0)) == pytest.approx(math.log(math.e + 2) - 1)
    assert float(info_nce(first, first.flip(0), 1.0)) > float(info_nce(first, first, 1.0))
    assert float(info_nce(first[:1], first[:1], 1.0)) == 0
