"""Outputs of the temporal model that start at the log-probabilities of the static model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from abaw.core.errors import ConfigError
from abaw.models.sizes import TransformerSize
from abaw.models.start import filled_log_probs
from abaw.models.temporal import TemporalTransformer, build_temporal, load_temporal, temporal_spec
from abaw.protocol.classes import EXPRESSION_CLASSES, NUM_EXPRESSIONS
from abaw.sequence.filters import fill_gaps
from abaw.stores.checkpoints import save_checkpoint
from abaw.stores.sources import Source
from abaw.stores.spec import Spec

LOGITS = Source("logits", "b" * 16 + "/logits", NUM_EXPRESSIONS)
FEATURES = Source("features", "b" * 16, 6)
SIZE = TransformerSize(layers=1, heads=2, width=16, dropout=0.1, start="log_probs")


def _spec(size: TransformerSize = SIZE, *sources: Source, tasks: tuple[str, ...] = ("expression",)) -> Spec:
    return temporal_spec(
        size,
        window=20,
        hop=10,
        sources=sources or (LOGITS,),
        classes=EXPRESSION_CLASSES if "expression" in tasks else (),
        training={},
        tasks=tasks,
    )


def _logits(batch: int, time: int) -> Tensor:
    return torch.randn(batch, time, NUM_EXPRESSIONS, generator=torch.Generator().manual_seed(1))


def _with_correction(size: TransformerSize) -> TemporalTransformer:
    model = build_temporal(_spec(size), seed=0).eval()
    torch.nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(2))
    return model


@pytest.mark.parametrize("sources", [(LOGITS,), (FEATURES, LOGITS)], ids=["logits", "features and logits"])
@pytest.mark.parametrize("tasks", [("expression",), ("expression", "valence_arousal")], ids=["one task", "two tasks"])
def test_an_untrained_model_returns_the_log_probabilities(sources: tuple[Source, ...], tasks: tuple[str, ...]) -> None:
    model = build_temporal(_spec(SIZE, *sources, tasks=tasks), seed=0).eval()
    logits = _logits(2, 13)
    features = torch.cat([torch.randn(2, 13, 6), logits], dim=-1) if len(sources) > 1 else logits
    present = torch.ones(2, 13, len(sources), dtype=torch.bool)
    outputs = model(features, present, present[..., 0])
    torch.testing.assert_close(outputs[..., :NUM_EXPRESSIONS], logits.log_softmax(-1))


@pytest.mark.parametrize("missing", [[], [0], [12], [4, 5, 6], [0, 1, 7, 12], list(range(13))], ids=str)
def test_gaps_are_filled_as_before_smoothing(missing: list[int]) -> None:
    logits, present = _logits(1, 13), torch.ones(1, 13, dtype=torch.bool)
    present[0, missing] = False
    filled = filled_log_probs(logits, present, causal=False)[0].numpy()
    expected = fill_gaps(logits[0].log_softmax(-1).numpy(), present[0].numpy(), 0)
    np.testing.assert_allclose(filled, expected, atol=1e-6)


def test_a_causal_start_repeats_the_last_frame_before_a_gap() -> None:
    logits, present = _logits(1, 6), torch.tensor([[False, True, False, False, True, True]])
    filled, known = filled_log_probs(logits, present, causal=True)[0], logits[0].log_softmax(-1)
    torch.testing.assert_close(filled, torch.stack([0 * known[0], known[1], known[1], known[1], known[4], known[5]]))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", [{}, {"stem": 5}, {"tcn": 3}, {"stem": 9, "tcn": 2, "delta": 2}], ids=str)
def test_a_constant_face_keeps_the_static_model_s_output(shape: dict[str, int], causal: bool) -> None:
    """Also at the ends of the video and next to padding."""
    model = _with_correction(TransformerSize(**{**vars(SIZE), "causal": causal, **shape}))
    inside = torch.arange(40)[None] < 33
    logits = _logits(1, 1).expand(1, 40, -1)
    outputs = model(logits, inside[..., None], inside)[:, :33]
    torch.testing.assert_close(outputs, logits.log_softmax(-1)[:, :33], atol=1e-5, rtol=1e-4)


def test_one_other_frame_changes_the_outputs_around_it() -> None:
    model, logits = _with_correction(SIZE), _logits(1, 1).repeat(1, 40, 1)
    logits[0, 20] = _logits(1, 2)[0, 1]
    present = torch.ones(1, 40, dtype=torch.bool)
    apart = (model(logits, present[..., None], present) - logits.log_softmax(-1)).abs().amax(-1)[0]
    assert (apart[15:26] > 1e-3).all()


def test_a_checkpoint_of_an_earlier_version_keeps_its_free_correction() -> None:
    spec = _spec(TransformerSize(**{**vars(SIZE), "correction": "free"}))
    earlier = {key: value for key, value in spec.architecture.items() if key != "correction"}
    assert build_temporal(replace(spec, architecture=earlier), seed=0).size.correction == "free"
    model = _with_correction(TransformerSize(**{**vars(SIZE), "correction": "free"}))
    present = torch.ones(1, 9, dtype=torch.bool)
    logits = _logits(1, 1).expand(1, 9, -1)
    assert (model(logits, present[..., None], present) - logits.log_softmax(-1)).abs().max() > 1e-2


def test_the_start_survives_a_checkpoint(tmp_path: Path) -> None:
    model = _with_correction(SIZE)
    save_checkpoint(tmp_path, _spec(), model.state_dict())
    loaded, _ = load_temporal(tmp_path)
    logits, present = _logits(2, 13), torch.ones(2, 13, dtype=torch.bool)
    torch.testing.assert_close(loaded(logits, present[..., None], present), model(logits, present[..., None], present))


def test_the_correction_learns_from_the_first_step() -> None:
    model = build_temporal(_spec(), seed=0)
    present = torch.ones(1, 13, dtype=torch.bool)
    model(_logits(1, 13), present[..., None], present)[..., 0].sum().backward()
    assert model.head.weight.grad is not None and bool(model.head.weight.grad.any())


@pytest.mark.parametrize(
    ("sources", "tasks", "message"),
    [
        pytest.param((FEATURES,), ("expression",), "found 0 among features", id="no logits"),
        pytest.param((LOGITS, LOGITS), ("expression",), "found 2 among", id="two"),
        pytest.param((LOGITS,), ("valence_arousal",), "needs the task 'expression'", id="no classes"),
    ],
)
def test_a_start_without_its_logits_is_refused(
    sources: tuple[Source, ...], tasks: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        _spec(SIZE, *sources, tasks=tasks)
