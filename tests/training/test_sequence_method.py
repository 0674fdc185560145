"""The temporal method: what its loss counts, how it augments, and that it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from abaw.core.errors import ConfigError
from abaw.data.window_batches import WindowBatch
from abaw.models.sizes import TransformerSize
from abaw.models.temporal import TemporalTransformer
from abaw.protocol.classes import TASKS
from abaw.training.sequence_losses import (
    action_unit_loss,
    ccc_loss,
    class_weights,
    expected_shares,
    positive_weights,
)
from abaw.training.sequence_method import SequenceMethod
from abaw.training.sequence_settings import SequenceLearning

D, C = 6, 8
COUNTS = np.array([700, 10, 10, 10, 100, 80, 40, 50])


def _method(num_outputs: int = C, dims: tuple[int, ...] = (D,), **learning: object) -> SequenceMethod:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = TemporalTransformer(TransformerSize(layers=1, heads=2, width=16, dropout=0.0), dims, num_outputs, 20)
    return SequenceMethod(model, SequenceLearning(**learning), COUNTS).eval()  # type: ignore[arg-type]


def _batch(batch: int = 3, time: int = 20) -> WindowBatch:
    generator = torch.Generator().manual_seed(0)
    real = torch.ones(batch, time, dtype=torch.bool)
    labels = torch.randint(0, C, (batch, time), generator=generator)
    labels[0, :5] = -1
    features = torch.randn(batch, time, D, generator=generator).half()
    return WindowBatch(features, real[..., None], real.clone(), labels, tuple(f"v:{row}" for row in range(batch)))


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_loss_is_the_mean_over_labelled_frames() -> None:
    method, batch = _method(balance="none", label_smoothing=0.0), _batch()
    logits = method.model(batch.features, batch.present, batch.inside)
    known = batch.labels >= 0
    assert method.step(batch).loss.item() == pytest.approx(F.cross_entropy(logits[known], batch.labels[known]).item())


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_logit_adjustment_adds_the_log_share_of_each_class(strength: float) -> None:
    method, batch = _method(balance="logit_adjustment", label_smoothing=0.0, balance_strength=strength), _batch()
    logits = method.model(batch.features, batch.present, batch.inside)
    shares = torch.tensor(COUNTS / COUNTS.sum(), dtype=torch.float32)
    known = batch.labels >= 0
    expected = F.cross_entropy(logits[known] + strength * shares.log(), batch.labels[known])
    assert method.step(batch).loss.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("learning", "expected"),
    [
        ({"balance": "none"}, [0.5, 0.25, 0.25]),
        ({"balance": "logit_adjustment"}, [0.5 / 8, 0.25, 0.25]),
        ({"balance": "logit_adjustment", "balance_strength": 0.0}, [0.5, 0.25, 0.25]),
        ({"balance": "class_weights"}, [0.5 / 8, 0.25, 0.25]),
    ],
)
def test_the_class_shares_that_a_model_expects(learning: dict[str, object], expected: list[float]) -> None:
    shares = expected_shares(np.array([50, 25, 25]), np.array([80, 10, 10]), SequenceLearning(**learning))  # type: ignore[arg-type]
    np.testing.assert_allclose(shares, np.array(expected) / sum(expected), rtol=1e-5)


def test_without_labels_the_expected_class_shares_are_equal() -> None:
    assert expected_shares(np.zeros(4, np.int64), np.zeros(4, np.int64), SequenceLearning()) == (0.25,) * 4


def test_class_weights_are_inverse_shares() -> None:
    method, batch = _method(balance="class_weights", label_smoothing=0.0), _batch()
    logits = method.model(batch.features, batch.present, batch.inside)
    known = batch.labels >= 0
    weights = torch.as_tensor(1 / COUNTS).clamp_max(10 * (1 / COUNTS).mean())[batch.labels[known]].float()
    each = F.cross_entropy(logits[known], batch.labels[known], reduction="none")
    expected = (each * weights).sum() / weights.sum()
    assert method.step(batch).loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_class_without_frames_has_the_weight_of_the_rarest_one() -> None:
    weights = class_weights(np.array([90, 10, 0]))
    assert weights[2] == weights[1] == pytest.approx(9 * float(weights[0]))
    assert (weights * torch.tensor([90, 10, 0])).sum() / 100 == pytest.approx(1.0)
    gentle = class_weights(np.array([90, 10, 0]), strength=0.5)
    assert gentle[1] == pytest.approx(3 * float(gentle[0]))
    assert class_weights(np.array([90, 10, 0]), strength=0.0).tolist() == pytest.approx([1, 1, 1])


def test_the_ccc_loss_is_one_minus_the_textbook_formula() -> None:
    generator = np.random.default_rng(0)
    target = generator.uniform(-1, 1, (50, 2))
    predicted = 0.5 * target + 0.2 * generator.normal(size=(50, 2)) + 0.1
    each = [
        2 * np.cov(p, t, bias=True)[0, 1] / (p.var() + t.var() + (p.mean() - t.mean()) ** 2)
        for p, t in zip(predicted.T, target.T, strict=True)
    ]
    found = ccc_loss(torch.tensor(predicted), torch.tensor(target))
    assert found.item() == pytest.approx(1 - np.mean(each), rel=1e-4)
    unknown = np.vstack([target, np.full((5, 2), np.nan)])
    more = np.vstack([predicted, np.ones((5, 2))])
    assert ccc_loss(torch.tensor(more), torch.tensor(unknown)).item() == pytest.approx(found.item(), rel=1e-6)
    assert ccc_loss(torch.tensor(target), torch.tensor(target)).item() == pytest.approx(0, abs=1e-4)
    assert ccc_loss(torch.zeros(3, 2), torch.full((3, 2), torch.nan)).item() == 0


def test_the_action_unit_loss_is_weighted_and_masked() -> None:
    logits, weight = torch.randn(6, 12, generator=_generator()), torch.full((12,), 3.0)
    target = torch.randint(-1, 2, (6, 12), generator=_generator())
    probs = logits.sigmoid()
    each = torch.where(target == 1, -3 * probs.log(), -(1 - probs).log())
    expected = each[target >= 0].mean()
    assert action_unit_loss(logits, target, weight).item() == pytest.approx(expected.item(), rel=1e-5)
    assert action_unit_loss(logits, torch.full((6, 12), -1), weight).item() == 0
    weights = positive_weights(np.array([[30, 10]] * 6 + [[0, 500]] * 6))
    assert weights[0] == pytest.approx(31 / 11) and weights[6] == pytest.approx(0.1)


def test_a_frame_counts_for_the_tasks_of_its_labels() -> None:
    """One video has expressions, another valence and arousal, a third action units; each trains its own head."""
    method = _method(num_outputs=22, label_smoothing=0.0, feature_noise=0.0, time_mask=0.0)
    method.tasks = TASKS
    method.positive_weights = torch.ones(12)
    batch = _batch()
    labels = batch.labels.clone()
    labels[1:] = -1
    va = torch.full((3, 20, 2), torch.nan)
    va[1] = torch.rand(20, 2, generator=_generator())
    units = torch.full((3, 20, 12), -1, dtype=torch.int8)
    units[2] = torch.randint(0, 2, (20, 12), generator=_generator()).to(torch.int8)
    batch = batch._replace(labels=labels, valence_arousal=va, action_units=units)
    result = method.step(batch)
    assert set(result.logs) == {"train/accuracy", "loss/valence_arousal", "loss/action_units"}
    result.loss.backward()
    grad = method.model.head.weight.grad
    assert grad is not None and all(part.any() for part in grad.split([8, 2, 12]))
    method.zero_grad()
    method.step(batch._replace(labels=torch.full_like(labels, -1))).loss.backward()
    grad = method.model.head.weight.grad
    assert grad is not None and not grad[:8].any() and grad[8:].any()


@pytest.mark.parametrize("balance", ["logit_adjustment", "class_weights", "none"])
def test_a_class_without_frames_is_not_predicted(balance: str) -> None:
    batch = _batch()
    batch = batch._replace(labels=batch.labels.clamp_max(1))
    learning = SequenceLearning(balance=balance, label_smoothing=0.0)  # type: ignore[arg-type]
    method = SequenceMethod(_method().model, learning, np.array([5, 300, 0, 0, 0, 0, 0, 0])).train()
    optimizer = torch.optim.AdamW(method.parameters(), lr=1e-2)
    for _ in range(30):
        loss = method.step(batch).loss
        assert torch.isfinite(loss)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert method.model(batch.features, batch.present, batch.inside).argmax(-1).max() <= 1


def test_noise_is_measured_in_standard_deviations_of_each_feature() -> None:
    method = _method(feature_noise=0.5, time_mask=0.0)
    std = torch.tensor([1.0, 2, 3, 4, 5, 6])
    method.model.set_statistics(torch.zeros(D), std)
    batch = _batch(batch=16, time=200)
    viewed = method.views(batch, _generator())
    noise = (viewed.features - batch.features.float()).flatten(0, 1).std(0)
    torch.testing.assert_close(noise, 0.5 * std, rtol=0.06, atol=0)
    assert torch.equal(viewed.present, batch.present)


def test_one_segment_is_masked_and_keeps_its_labels() -> None:
    method = _method(feature_noise=0.0, time_mask=0.25)
    batch = _batch(batch=500)
    viewed = method.views(batch, _generator())
    hidden = (batch.present & ~viewed.present)[..., 0]
    lengths = hidden.sum(1)
    assert set(lengths.tolist()) == {0, 1, 2, 3, 4, 5}, "0 to a quarter of 20 frames"
    edges = (hidden[:, 1:] != hidden[:, :-1]).sum(1) + hidden[:, 0].long() + hidden[:, -1].long()
    assert set(edges.tolist()) <= {0, 2}, "one run"
    assert hidden[:, 0].any() and hidden[:, -1].any(), "anywhere in the window"
    assert torch.equal(viewed.labels, batch.labels) and torch.equal(viewed.features, batch.features.float())


def _two_sources(batch: int, time: int = 20) -> WindowBatch:
    one = _batch(batch, time)
    return one._replace(present=one.present.repeat(1, 1, 2))


def test_each_source_has_its_own_masked_segment() -> None:
    method = _method(dims=(4, 2), feature_noise=0.0, time_mask=0.25, modality_dropout=0.0)
    hidden = ~method.views(_two_sources(500), _generator()).present
    assert set(hidden.sum(1).flatten().tolist()) == {0, 1, 2, 3, 4, 5}
    assert (hidden[..., 0] != hidden[..., 1]).any(), "a face may be hidden while its sound is heard"


@pytest.mark.parametrize("probability", [0.2, 0.9])
def test_whole_sources_are_dropped_but_never_all_of_a_window(probability: float) -> None:
    method = _method(dims=(4, 2), feature_noise=0.0, time_mask=0.0, modality_dropout=probability)
    batch = _two_sources(4000)
    batch.present[1000:2000, :, 0] = False
    batch.present[2000:3000, 5:, 1] = False
    batch.present[3000:] = False
    viewed = method.views(batch, _generator()).present
    assert torch.equal(viewed.any(dim=1).any(dim=1), batch.present.any(dim=1).any(dim=1)), "something stays"
    assert torch.equal(viewed[1000:2000], batch.present[1000:2000]), "the only source of a window stays"
    kept = viewed.any(dim=1) | ~batch.present.any(dim=1)
    assert torch.equal(viewed, batch.present & kept[:, None]), "a source is dropped in the whole window"
    expected = probability * (1 - probability) + probability**2 / 2
    shares = (~kept[torch.cat([torch.arange(1000), torch.arange(2000, 3000)])]).float().mean(0)
    assert shares.tolist() == pytest.approx([expected] * 2, abs=0.04)


def test_a_single_source_is_never_dropped() -> None:
    batch = _batch(batch=50)
    views = [_method(time_mask=0.1, modality_dropout=share).views(batch, _generator()) for share in (0.0, 0.9)]
    assert torch.equal(views[0].present, views[1].present) and torch.equal(views[0].features, views[1].features)


def test_without_augmentation_nothing_changes() -> None:
    batch = _batch()
    viewed = _method(feature_noise=0.0, time_mask=0.0).views(batch, _generator())
    assert torch.equal(viewed.present, batch.present) and torch.equal(viewed.features, batch.features.float())


def test_augmentation_depends_on_the_generator() -> None:
    method, batch = _method(), _batch()
    first, same, other = (method.views(batch, _generator(seed)).features for seed in (1, 1, 2))
    assert torch.equal(first, same) and not torch.equal(first, other)


def test_training_lowers_the_loss() -> None:
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
    "values",
    [
        {"batch_size": 0},
        {"label_smoothing": 1.0},
        {"time_mask": -0.1},
        {"modality_dropout": 1.0},
        {"feature_noise": -1.0},
        {"action_units_weight": -1.0},
    ],
)
def test_values_out_of_range_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(values))):
        SequenceLearning(**values)  # type: ignore[arg-type]
