from __future__ import annotations

import torch
from torch import nn

from abaw.learning.ema import Ema


def network(value: float) -> nn.Module:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.fill_(value)
    return model


def test_the_average_follows_its_formula() -> None:
    ema = Ema(network(0.0), decay=0.3)
    expected = 0.0
    for updates in range(1, 7):
        ema.update(network(1.0))
        decay = min(0.3, (1 + updates) / (10 + updates))
        expected = decay * expected + (1 - decay)
        for name, tensor in ema.model.state_dict().items():
            wanted = 1.0 if name.endswith("num_batches_tracked") else expected
            assert torch.allclose(tensor.float(), torch.tensor(wanted)), name


def test_the_copy_is_separate_and_has_no_gradients() -> None:
    model = network(1.0)
    ema = Ema(model, decay=0.9)
    with torch.no_grad():
        model[0].weight.fill_(9.0)
    assert (ema.model.get_parameter("0.weight") == 1).all()
    assert not ema.model.training
    assert not any(parameter.requires_grad for parameter in ema.model.parameters())


def test_a_restored_average_continues_unchanged() -> None:
    first = Ema(network(0.0), decay=0.9)
    first.update(network(1.0))
    second = Ema(network(5.0), decay=0.9)
    second.load_state_dict(first.state_dict())
    for ema in (first, second):
        ema.update(network(2.0))
    for a, b in zip(first.model.state_dict().values(), second.model.state_dict().values(), strict=True):
        assert torch.equal(a, b)
