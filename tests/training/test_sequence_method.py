"""The temporal method: what its loss counts, how it augments, that it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from abaw.core.errors import ConfigError
from abaw.data.clips import WindowBatch
from abaw.models.sizes import TransformerSize
from abaw.models.temporal import TemporalTransformer
from abaw.training.sequence_method import SequenceMethod
from abaw.training.sequence_settings import SequenceLearning

D, C = 6, 8
COUNTS = np.array([700, 10, 10, 10, 100, 80, 40, 50])


def _method(**learning: object) -> SequenceMethod:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = TemporalTransformer(TransformerSize(layers=1, heads=2, width=16, dropout=0.0), D, C)
    return SequenceMethod(model, SequenceLearning(**learning), COUNTS).eval()  # type: ignore[arg-type]


def _batch(batch: int = 3, time: int = 20) -> WindowBatch:
    generator = torch.Generator().manual_seed(0)
    real = torch.ones(batch, time, dtype=torch.bool)
    labels = torch.randint(0, C, (batch, time), generator=generator)
    labels[0, :5] = -1
    features = torch.randn(batch, time, D, generator=generator).half()
    return WindowBatch(features, real, real.clone(), labels, tuple(f"v:{row}" for row in range(batch)))


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_loss_is_the_mean_over_labelled_frames() -> None:
    method, batch = _method(balance="none", label_smoothing=0.0), _batch()
    logits = method.model(batch.features, batch.present, batch.inside)
    known = batch.labels >= 0
    assert method.step(batch).loss.item() == pytest.approx(F.cross_entropy(logits[known], batch.labels[known]).item())


def test_logit_adjustment_adds_the_log_share_of_each_class() -> None:
    method, batch = _method(label_smoothing=0.0), _batch()
    logits = method.model(batch.features, batch.present, batch.inside)
    shares = torch.tensor((COUNTS + 1) / (COUNTS + 1).sum(), dtype=torch.float32)
    known = batch.labels >= 0
    expected = F.cross_entropy(logits[known] + shares.log(), batch.labels[known])
    assert method.step(batch).loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_class_that_is_not_there_keeps_the_loss_finite() -> None:
    method = SequenceMethod(_method().model, SequenceLearning(), np.array([5, 0, 0, 0, 0, 0, 0, 0]))
    assert torch.isfinite(method.step(_batch()).loss)


def test_noise_is_measured_in_standard_deviations_of_each_feature() -> None:
    method = _method(feature_noise=0.5, time_mask=0.0)
    std = torch.tensor([1.0, 2, 3, 4, 5, 6])
    method.model.set_statistics(torch.zeros(D), std)
    batch = _batch(batch=16, time=200)
    viewed = method.views(batch, _generator())
    noise = (viewed.features - batch.features.float()).flatten(0, 1).std(0)
    torch.testing.assert_close(noise, 0.5 * std, rtol=0.06, atol=0)
    assert torch.equal(viewed.present, batch.present)


def test_one_run_of_frames_is_hidden_and_keeps_its_labels() -> None:
    method = _method(feature_noise=0.0, time_mask=0.25)
    batch = _batch(batch=500)
    viewed = method.views(batch, _generator())
    hidden = batch.present & ~viewed.present
    lengths = hidden.sum(1)
    assert set(lengths.tolist()) == {0, 1, 2, 3, 4, 5}, "0 to a quarter of 20 frames"
    edges = (hidden[:, 1:] != hidden[:, :-1]).sum(1) + hidden[:, 0].long() + hidden[:, -1].long()
    assert set(edges.tolist()) <= {0, 2}, "one run"
    assert hidden[:, 0].any() and hidden[:, -1].any(), "anywhere in the window"
    assert torch.equal(viewed.labels, batch.labels) and torch.equal(viewed.features, batch.features.float())


def test_nothing_is_changed_when_nothing_is_asked() -> None:
    batch = _batch()
    viewed = _method(feature_noise=0.0, time_mask=0.0).views(batch, _generator())
    assert torch.equal(viewed.present, batch.present) and torch.equal(viewed.features, batch.features.float())


def test_augmentation_follows_its_generator() -> None:
    method, batch = _method(), _batch()
    first, same, other = (method.views(batch, _generator(seed)).features for seed in (1, 1, 2))
    assert torch.equal(first, same) and not torch.equal(first, other)


def test_steps_lower_the_loss() -> None:
    method, batch = _method(label_smoothing=0.0).train(), _batch()
    optimizer = torch.optim.AdamW(method.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss = method.step(batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize(
    "values", [{"batch_size": 0}, {"label_smoothing": 1.0}, {"time_mask": -0.1}, {"feature_noise": -1.0}]
)
def test_values_outside_their_range_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(values))):
        SequenceLearning(**values)  # type: ignore[arg-type]
