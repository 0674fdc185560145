"""From features to predictions: every frame, the right checkpoint, ensembles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from abaw.data.clips import Clip, ClipSet
from abaw.inference.predict import load_member, predict_store, score_clips, window_logits
from abaw.models.sizes import TransformerSize
from abaw.models.static import ImageInput, StaticModel, build_static, save_static
from abaw.models.temporal import build_temporal, temporal_spec
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.sequence.windows import Windows
from abaw.stores.arrow import StoreError
from abaw.stores.checkpoints import CheckpointError, Spec, save_checkpoint
from abaw.stores.features import FeatureStore, feature_batch, open_features, write_features

D = 12
BACKBONE = "b" * 16
CPU = torch.device("cpu")


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
    size = TransformerSize(layers=1, heads=2, width=16)
    spec = temporal_spec(
        size, window=10, hop=6, feature_dim=D, classes=EXPRESSION_CLASSES, backbone=BACKBONE, training={}
    )
    spec = replace(spec, **changes)  # type: ignore[arg-type]
    save_checkpoint(folder, spec, build_temporal(spec, seed=seed).state_dict())
    return folder


def _static(folder: Path) -> tuple[StaticModel, Spec]:
    model = build_static("small", 8, 32, seed=0)
    return model, save_static(folder, model, "small", EXPRESSION_CLASSES, ImageInput(32), {})


class _Sees(nn.Module):
    """Logit 0 of a frame: how many frames of its window it could look at; logit 1: its own first feature."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, features: torch.Tensor, present: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        assert inside.all(), "a window is never longer than the video"
        count = (present & inside).sum(1, keepdim=True).expand(present.shape)
        return torch.stack([count.float(), features[..., 0].float()], dim=-1) * self.weight


@pytest.mark.parametrize(
    ("num_frames", "length", "hop"), [(1, 10, 5), (9, 10, 5), (10, 10, 10), (37, 10, 6), (500, 7, 3)]
)
def test_every_frame_gets_its_own_logits(num_frames: int, length: int, hop: int) -> None:
    features = np.arange(num_frames * 2).reshape(-1, 2).astype(np.float16)
    logits = window_logits(_Sees(), features, np.ones(num_frames, dtype=bool), Windows(length, hop))
    np.testing.assert_allclose(logits[:, 1], features[:, 0], rtol=1e-5)
    assert (logits[:, 0] == min(length, num_frames)).all()


def test_many_batches_give_what_one_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = temporal_spec(
        TransformerSize(layers=1, heads=2, width=16),
        window=10, hop=4, feature_dim=D, classes=EXPRESSION_CLASSES, backbone=BACKBONE, training={},
    )  # fmt: skip
    model = build_temporal(spec, seed=0).eval()
    features = np.random.default_rng(0).normal(size=(205, D)).astype(np.float16)
    present = np.random.default_rng(1).random(205) < 0.8
    at_once = window_logits(model, features, present, Windows(10, 4))
    monkeypatch.setattr("abaw.inference.predict._FRAMES_A_BATCH", 20)
    torch.testing.assert_close(window_logits(model, features, present, Windows(10, 4)), at_once, atol=1e-5, rtol=1e-4)


def test_a_temporal_checkpoint_predicts_frames_without_a_face_too(tmp_path: Path) -> None:
    member = load_member(_temporal(tmp_path / "t"), CPU)
    predictions = predict_store([member], _store(tmp_path, 25, missing=(0, 3, 24)))
    assert predictions.predicted.all() and predictions.probs.shape == (25, 8)
    np.testing.assert_allclose(predictions.probs.sum(axis=1), 1, atol=1e-5)
    assert np.flatnonzero(~predictions.valid).tolist() == [0, 3, 24]
    assert predictions.meta["backbone"] == BACKBONE and predictions.meta["fps"] == 25.0
    assert predictions.meta["checkpoints"] == [member.spec.weights_id]


def test_a_static_checkpoint_predicts_by_its_head_and_only_where_there_is_a_face(tmp_path: Path) -> None:
    model, spec = _static(tmp_path / "s")
    store = _store(tmp_path, 6, missing=(2,), backbone=spec.weights_id, dim=spec.feature_dim)
    predictions = predict_store([load_member(tmp_path / "s", CPU)], store)
    assert predictions.predicted.tolist() == [True, True, False, True, True, True]
    assert (predictions.probs[2] == 0).all()
    with torch.no_grad():
        expected = model.head(torch.from_numpy(store.features()).float()).softmax(-1)
    np.testing.assert_allclose(predictions.probs[predictions.predicted], expected[predictions.predicted], atol=1e-6)


def test_an_ensemble_averages_probabilities_over_those_that_predict(tmp_path: Path) -> None:
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


def test_a_video_without_a_frame_has_no_predictions(tmp_path: Path) -> None:
    predictions = predict_store([load_member(_temporal(tmp_path / "t"), CPU)], _store(tmp_path, 0))
    assert len(predictions) == 0 and predictions.probs.shape == (0, 8)


def test_features_of_another_backbone_are_refused(tmp_path: Path) -> None:
    member = load_member(_temporal(tmp_path / "t"), CPU)
    with pytest.raises(CheckpointError, match=rf"written by another backbone: .* expects {BACKBONE}, found cccc"):
        predict_store([member], _store(tmp_path, 5, backbone="c" * 16))


def test_features_of_another_width_are_refused(tmp_path: Path) -> None:
    member = load_member(_temporal(tmp_path / "t"), CPU)
    with pytest.raises(CheckpointError, match=r"expects 12 features a frame, .*v\.arrow has 13"):
        predict_store([member], _store(tmp_path, 5, dim=D + 1))


def test_a_checkpoint_of_another_class_order_is_refused(tmp_path: Path) -> None:
    folder = _temporal(tmp_path / "t", classes=tuple(reversed(EXPRESSION_CLASSES)))
    with pytest.raises(CheckpointError, match="class order differs: expected Neutral, .*; found Other, "):
        load_member(folder, CPU)


def test_a_store_that_lacks_a_frame_is_refused(tmp_path: Path) -> None:
    batch = feature_batch(np.array([1, 3], dtype=np.int32), np.ones(2, dtype=bool), np.ones((2, D), dtype=np.float16))
    write_features(tmp_path / "v.arrow", D, [batch], {"backbone": BACKBONE})
    with pytest.raises(StoreError, match="a row for each frame"):
        predict_store([load_member(_temporal(tmp_path / "t"), CPU)], open_features(tmp_path / "v.arrow"))


def test_scores_count_labelled_frames_alone() -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, features: torch.Tensor, present: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
            return features[..., :8].float()

    features = np.eye(8, dtype=np.float16)[[0, 1, 2, 3]]
    clip = Clip("v", features, np.array([True, True, False, True]), np.array([0, 1, 3, -1], dtype=np.int8))
    evaluation = score_clips(Fixed(), ClipSet((clip,), BACKBONE, 8), Windows(3, 2))
    assert evaluation.all_frames.num_frames == 3
    assert evaluation.all_frames.accuracy == pytest.approx(2 / 3)
    assert evaluation.with_face is not None and evaluation.with_face.accuracy == 1
