"""From features to predictions: every frame, matching checkpoints, ensembles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from abaw.core.errors import ConfigError
from abaw.data.clips import Clip, ClipSet
from abaw.evaluation.clips import score_clips
from abaw.inference.members import Member, load_member
from abaw.inference.predict import predict_clips, predict_stores
from abaw.inference.windowed import window_outputs
from abaw.live.temporal import LivePredictor
from abaw.models.architecture import Architecture
from abaw.models.image_input import ImageInput
from abaw.models.sizes import TransformerSize
from abaw.models.static import StaticModel, build_static, save_static
from abaw.models.temporal import build_temporal, on_windows, temporal_spec
from abaw.protocol.classes import EXPRESSION_CLASSES, TASKS
from abaw.sequence.windows import Windows
from abaw.stores.arrow import StoreError
from abaw.stores.checkpoints import save_checkpoint
from abaw.stores.features import FeatureStore, feature_batch, open_features, write_features
from abaw.stores.predictions import Predictions
from abaw.stores.sources import Source
from abaw.stores.spec import CheckpointError, Spec
from tests.checkpoints import temporal_checkpoint

D = 12
BACKBONE = "b" * 16
SOURCES = (Source("features", BACKBONE, D),)
CPU = "cpu"


def _store(
    folder: Path, num_frames: int, *, missing: tuple[int, ...] = (), backbone: str = BACKBONE, dim: int = D
) -> FeatureStore:
    valid = np.ones(num_frames, dtype=bool)
    valid[list(missing)] = False
    features = np.random.default_rng(0).normal(size=(num_frames, dim)).astype(np.float16)
    frames = np.arange(1, num_frames + 1, dtype=np.int32)
    path = folder / "v.arrow"
    write_features(path, dim, [feature_batch(frames, valid, features)], {"backbone": backbone, "fps": 25.0})
    return open_features(path)


def _temporal(folder: Path, seed: int = 0, **changes: object) -> Path:
    return temporal_checkpoint(folder, D, BACKBONE, window=10, hop=6, seed=seed, **changes)


def _static(folder: Path) -> tuple[StaticModel, Spec]:
    model = build_static(Architecture(backbone="small"), 8, 32, seed=0)
    return model, save_static(folder, model, Architecture(backbone="small"), EXPRESSION_CLASSES, ImageInput(32), {})


def predict_store(members: Sequence[Member], store: FeatureStore) -> Predictions:
    return predict_stores(members, [store])


def _sees(features: NDArray[np.floating], present: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Logit 0 of a frame: how many frames of its window it can see; logit 1: its own first feature."""
    count = np.broadcast_to(present[..., 0].sum(1, keepdims=True), features.shape[:2])
    return np.stack([count, features[..., 0]], axis=-1).astype(np.float32)


@pytest.mark.parametrize(
    ("num_frames", "length", "hop"), [(1, 10, 5), (9, 10, 5), (10, 10, 10), (37, 10, 6), (500, 7, 3)]
)
def test_every_frame_gets_its_own_logits(num_frames: int, length: int, hop: int) -> None:
    features = np.arange(num_frames * 2).reshape(-1, 2).astype(np.float16)
    logits = window_outputs(_sees, features, np.ones((num_frames, 1), dtype=bool), Windows(length, hop))
    np.testing.assert_allclose(logits[:, 1], features[:, 0], rtol=1e-5)
    assert (logits[:, 0] == min(length, num_frames)).all()


def test_the_batch_size_does_not_change_predictions(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = temporal_spec(
        TransformerSize(layers=1, heads=2, width=16),
        window=10, hop=4, sources=SOURCES, classes=EXPRESSION_CLASSES, training={},
    )  # fmt: skip
    model = on_windows(build_temporal(spec, seed=0).eval())
    features = np.random.default_rng(0).normal(size=(205, D)).astype(np.float16)
    present = np.random.default_rng(1).random((205, 1)) < 0.8
    at_once = window_outputs(model, features, present, Windows(10, 4))
    monkeypatch.setattr("abaw.inference.windowed._FRAMES_PER_BATCH", 20)
    in_parts = window_outputs(model, features, present, Windows(10, 4))
    np.testing.assert_allclose(in_parts, at_once, atol=1e-5, rtol=1e-4)


def test_a_temporal_checkpoint_also_predicts_frames_without_a_face(tmp_path: Path) -> None:
    member = load_member(_temporal(tmp_path / "t"), CPU)
    predictions = predict_store([member], _store(tmp_path, 25, missing=(0, 3, 24)))
    assert predictions.predicted.all() and predictions.probs.shape == (25, 8)
    np.testing.assert_allclose(predictions.probs.sum(axis=1), 1, atol=1e-5)
    assert np.flatnonzero(~predictions.valid).tolist() == [0, 3, 24]
    assert predictions.meta["backbone"] == BACKBONE and predictions.meta["fps"] == 25.0
    assert predictions.meta["checkpoints"] == [member.spec.weights_id]


def test_a_static_checkpoint_predicts_only_frames_with_a_face(tmp_path: Path) -> None:
    model, spec = _static(tmp_path / "s")
    store = _store(tmp_path, 6, missing=(2,), backbone=spec.weights_id, dim=spec.feature_dim)
    predictions = predict_store([load_member(tmp_path / "s", CPU)], store)
    assert predictions.predicted.tolist() == [True, True, False, True, True, True]
    assert (predictions.probs[2] == 0).all()
    with torch.no_grad():
        expected = model.head(torch.from_numpy(store.features()).float()).softmax(-1)
    np.testing.assert_allclose(predictions.probs[predictions.predicted], expected[predictions.predicted], atol=1e-6)


def test_an_ensemble_averages_over_the_members_that_predict(tmp_path: Path) -> None:
    _, spec = _static(tmp_path / "s")
    own = {"input": {"window": 10, "hop": 6, "backbone": spec.weights_id}, "feature_dim": spec.feature_dim}
    folders = [tmp_path / "s", _temporal(tmp_path / "t0", 0, **own), _temporal(tmp_path / "t1", 1, **own)]
    members = [load_member(folder, CPU) for folder in folders]
    store = _store(tmp_path, 20, missing=(4,), backbone=spec.weights_id, dim=spec.feature_dim)
    alone = [predict_store([member], store).probs for member in members]
    together = predict_store(members, store)
    face = store.valid
    np.testing.assert_allclose(together.probs[face], np.mean(alone, axis=0)[face], atol=1e-6)
    np.testing.assert_allclose(together.probs[4], (alone[1][4] + alone[2][4]) / 2, atol=1e-6)
    assert together.predicted.all()


def test_a_video_without_frames_has_no_predictions(tmp_path: Path) -> None:
    predictions = predict_store([load_member(_temporal(tmp_path / "t"), CPU)], _store(tmp_path, 0))
    assert len(predictions) == 0 and predictions.probs.shape == (0, 8)


def test_features_of_another_backbone_are_refused(tmp_path: Path) -> None:
    member = load_member(_temporal(tmp_path / "t"), CPU)
    with pytest.raises(CheckpointError, match=rf"written with another backbone: .* expects {BACKBONE}, found cccc"):
        predict_store([member], _store(tmp_path, 5, backbone="c" * 16))


def test_features_of_another_width_are_refused(tmp_path: Path) -> None:
    member = load_member(_temporal(tmp_path / "t"), CPU)
    with pytest.raises(CheckpointError, match=r"expects 12 features per frame, .*v\.arrow has 13"):
        predict_store([member], _store(tmp_path, 5, dim=D + 1))


def test_a_checkpoint_of_another_class_order_is_refused(tmp_path: Path) -> None:
    folder = _temporal(tmp_path / "t", classes=tuple(reversed(EXPRESSION_CLASSES)))
    with pytest.raises(CheckpointError, match="class order differs: expected Neutral, .*; found Other, "):
        load_member(folder, CPU)


def test_a_store_with_a_missing_frame_is_refused(tmp_path: Path) -> None:
    batch = feature_batch(np.array([1, 3], dtype=np.int32), np.ones(2, dtype=bool), np.ones((2, D), dtype=np.float16))
    write_features(tmp_path / "v.arrow", D, [batch], {"backbone": BACKBONE})
    with pytest.raises(StoreError, match="one row for each of the frames"):
        predict_store([load_member(_temporal(tmp_path / "t"), CPU)], open_features(tmp_path / "v.arrow"))


def _all_tasks(**size: object) -> Spec:
    return temporal_spec(
        TransformerSize(layers=1, heads=2, width=16, **size),  # type: ignore[arg-type]
        window=10,
        hop=6,
        sources=SOURCES,
        classes=EXPRESSION_CLASSES,
        training={"videos": ["seen"], "backbone_videos": ["stills"], "scored_on": ["held"], "chosen": True},
        tasks=TASKS,
    )


def test_all_tasks_are_predicted_within_their_ranges(tmp_path: Path) -> None:
    spec = _all_tasks()
    save_checkpoint(tmp_path / "t", spec, build_temporal(spec, seed=0).state_dict())
    members = [load_member(tmp_path / "t", CPU), load_member(_temporal(tmp_path / "plain"), CPU)]
    predictions = predict_store(members, _store(tmp_path, 25, missing=(3,)))
    va, units = predictions.valence_arousal, predictions.action_units
    assert va is not None and units is not None and va.shape == (25, 2) and units.shape == (25, 12)
    assert (np.abs(va) <= 1).all() and ((units >= 0) & (units <= 1)).all() and va.std() > 0 and units.std() > 0
    np.testing.assert_allclose(predictions.probs.sum(axis=1), 1, atol=1e-5)
    alone = predict_store(members[:1], _store(tmp_path, 25, missing=(3,)))
    assert alone.valence_arousal is not None
    np.testing.assert_allclose(alone.valence_arousal, va, atol=1e-6)
    assert predictions.meta["trained_on"] == ["seen", "stills"] and predictions.meta["selected_on"] == ["held"]
    assert predict_store(members[1:], _store(tmp_path, 25)).valence_arousal is None


@pytest.mark.parametrize("num_frames", [0, 25])
def test_members_with_different_tasks_each_predict_their_own(tmp_path: Path, num_frames: int) -> None:
    spec = replace(_all_tasks(), classes=())
    spec = replace(spec, architecture={**spec.architecture, "tasks": ["valence_arousal"]})
    save_checkpoint(tmp_path / "va", spec, build_temporal(spec, seed=0).state_dict())
    alone = predict_store([load_member(tmp_path / "va", CPU)], _store(tmp_path, num_frames))
    assert (alone.classes, alone.probs.shape, alone.action_units) == ((), (num_frames, 0), None)
    members = [load_member(tmp_path / "va", CPU), load_member(_temporal(tmp_path / "plain"), CPU)]
    both = predict_store(members, _store(tmp_path, num_frames))
    expression = predict_store(members[1:], _store(tmp_path, num_frames))
    assert both.classes == EXPRESSION_CLASSES and np.array_equal(both.probs, expression.probs)
    assert both.valence_arousal is not None and alone.valence_arousal is not None
    assert np.array_equal(both.valence_arousal, alone.valence_arousal) and both.predicted.all()


def test_predictions_of_clips_and_of_their_stores_are_equal(tmp_path: Path) -> None:
    spec = save_checkpoint(tmp_path / "t", _all_tasks(), build_temporal(_all_tasks(), seed=0).state_dict())
    store = _store(tmp_path, 25, missing=(3,))
    expected = predict_store([load_member(tmp_path / "t", CPU)], store)
    clip = Clip("v", store.features(), store.valid[:, None], store.valid, np.full(25, -1, dtype=np.int8))
    (found,) = predict_clips(on_windows(build_temporal(spec, seed=0).eval()), spec, [clip])
    assert np.array_equal(found.probs, expected.probs) and np.array_equal(found.valid, expected.valid)
    assert found.meta["checkpoints"] == expected.meta["checkpoints"]
    assert found.meta["trained_on"] == expected.meta["trained_on"]


def test_live_predictions_equal_those_of_the_whole_sequence() -> None:
    spec = _all_tasks(causal=True, stem=3, tcn=1, delta=1)
    spec = replace(spec, input={**spec.input, "window": 40, "hop": 40})
    model = on_windows(build_temporal(spec, seed=0).eval())
    features = np.random.default_rng(0).normal(size=(30, D)).astype(np.float16)
    present = np.random.default_rng(1).random(30) < 0.8
    clip = Clip("v", np.where(present[:, None], features, 0), present[:, None], present, np.full(30, -1, dtype=np.int8))
    (whole,) = predict_clips(model, spec, [clip])
    live = LivePredictor(model, spec)
    found = [live.push(feature if there else None) for feature, there in zip(features, present, strict=True)]
    np.testing.assert_allclose(np.stack(found), whole.probs, atol=1e-5)


def test_live_use_needs_a_causal_model() -> None:
    with pytest.raises(ConfigError, match=r"--model\.causal"):
        LivePredictor(on_windows(build_temporal(_all_tasks(), seed=0)), _all_tasks())


def test_scores_count_only_labelled_frames() -> None:
    features = np.random.default_rng(0).normal(size=(4, D)).astype(np.float16)
    model = build_temporal(_all_tasks(), seed=0).eval()
    face = np.array([True, True, False, True])
    clip = Clip("v", features, face[:, None], face, np.full(4, -1, dtype=np.int8))
    (predicted,) = predict_clips(on_windows(model), _all_tasks(), [clip])
    best = predicted.probs.argmax(axis=1)
    labels = np.array([best[0], best[1], (best[2] + 1) % 8, -1], dtype=np.int8)
    evaluation = score_clips(model, _all_tasks(), ClipSet((replace(clip, labels=labels),), SOURCES))
    assert evaluation.all_frames.num_frames == 3
    assert evaluation.all_frames.accuracy == pytest.approx(2 / 3)
    assert evaluation.with_face is not None and evaluation.with_face.accuracy == 1
