"""Predictions from several sources: which a checkpoint uses, what a video may lack, and where there is a face."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from abaw.data.clips import Clip
from abaw.inference.members import load_member
from abaw.inference.predict import predict_clips, predict_stores
from abaw.live.temporal import LivePredictor
from abaw.models.sizes import TransformerSize
from abaw.models.temporal import build_temporal, on_windows, temporal_spec
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.stores.checkpoints import save_checkpoint
from abaw.stores.features import FeatureStore, feature_batch, open_features, write_features
from abaw.stores.sources import Source
from abaw.stores.spec import CheckpointError, Spec

CPU = "cpu"
FACE, SOUND = Source("faces", "f" * 16, 5), Source("sound", "s" * 16, 3, "sound")
T = 25
FUSIONS = ("concat", "gated", "cross_attention")


def _store(folder: Path, source: Source, missing: tuple[int, ...] = (), seed: int = 0) -> FeatureStore:
    valid = np.ones(T, dtype=bool)
    valid[list(missing)] = False
    features = np.random.default_rng(seed).normal(size=(T, source.dim)).astype(np.float16)
    path = folder / source.name / "v.arrow"
    meta = {"backbone": source.backbone, "fps": 25.0, "modality": source.modality}
    batch = feature_batch(np.arange(1, T + 1, dtype=np.int32), valid, features)
    write_features(path, source.dim, [batch], meta)
    return open_features(path)


def _spec(*sources: Source, fusion: str = "concat", causal: bool = False) -> Spec:
    return temporal_spec(
        TransformerSize(layers=1, heads=2, width=16, fusion=fusion, causal=causal),  # type: ignore[arg-type]
        window=10,
        hop=6,
        sources=sources,
        classes=EXPRESSION_CLASSES,
        training={},
    )


def _checkpoint(folder: Path, spec: Spec) -> Path:
    save_checkpoint(folder, spec, build_temporal(spec, seed=0).state_dict())
    return folder


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_frame_without_a_face_is_predicted_from_its_sound(tmp_path: Path, fusion: str) -> None:
    member = load_member(_checkpoint(tmp_path / "t", _spec(FACE, SOUND, fusion=fusion)), CPU)
    face = _store(tmp_path, FACE, (3, 4, 5))
    heard = predict_stores([member], [face, _store(tmp_path, SOUND)])
    other = predict_stores([member], [face, _store(tmp_path, SOUND, seed=1)])
    assert heard.predicted.all() and np.flatnonzero(~heard.valid).tolist() == [3, 4, 5]
    assert np.array_equal(heard.valid, other.valid)
    assert not np.allclose(heard.probs[3:6], other.probs[3:6], atol=1e-4)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_video_without_sound_is_predicted(tmp_path: Path, fusion: str) -> None:
    """Whether it has no store, or one without a valid row."""
    member = load_member(_checkpoint(tmp_path / "t", _spec(FACE, SOUND, fusion=fusion)), CPU)
    face = _store(tmp_path, FACE, (3,))
    without = predict_stores([member], [face, SOUND])
    silent = predict_stores([member], [face, _store(tmp_path, SOUND, tuple(range(T)))])
    assert without.predicted.all() and np.array_equal(without.probs, silent.probs)
    assert np.array_equal(without.valid, face.valid) and np.array_equal(silent.valid, face.valid)


def test_faces_do_not_depend_on_the_sources_of_a_checkpoint(tmp_path: Path) -> None:
    """A model of the sound alone, given both: it passes the face over, and the store still says where there is one."""
    member = load_member(_checkpoint(tmp_path / "t", _spec(SOUND)), CPU)
    face, sound = _store(tmp_path, FACE, (0, 7)), _store(tmp_path, SOUND, (2,))
    both, alone = predict_stores([member], [face, sound]), predict_stores([member], [sound])
    assert np.array_equal(both.probs, alone.probs)
    assert np.flatnonzero(~both.valid).tolist() == [0, 7] and not alone.valid.any()
    assert both.predicted.all() and alone.predicted.all()


def test_an_ensemble_may_use_different_sources(tmp_path: Path) -> None:
    members = [
        load_member(_checkpoint(tmp_path / f"t{index}", _spec(*sources)), CPU)
        for index, sources in enumerate([(FACE,), (SOUND,), (FACE, SOUND)])
    ]
    stores = [_store(tmp_path, FACE), _store(tmp_path, SOUND)]
    alone = [predict_stores([member], stores).probs for member in members]
    np.testing.assert_allclose(predict_stores(members, stores).probs, np.mean(alone, axis=0), atol=1e-6)


def test_sources_in_another_order_or_of_another_backbone_are_refused(tmp_path: Path) -> None:
    member = load_member(_checkpoint(tmp_path / "t", _spec(FACE, SOUND)), CPU)
    face, sound = _store(tmp_path, FACE), _store(tmp_path, SOUND)
    with pytest.raises(CheckpointError, match="several --features must be in the order of training"):
        predict_stores([member], [sound, face])
    with pytest.raises(CheckpointError, match=r"expects ffff.*\+ssss.*, found ffff.*\+xxxx"):
        predict_stores([member], [face, _store(tmp_path, replace(SOUND, name="x", backbone="x" * 16))])
    with pytest.raises(CheckpointError, match="expects 8 features per frame, .* has 5"):
        predict_stores([member], [face])


def test_a_checkpoint_of_an_earlier_version_takes_its_sources_as_one(tmp_path: Path) -> None:
    """It masks all sources where one is missing, as it did in training."""
    joined = _spec(Source("features", f"{FACE.backbone}+{SOUND.backbone}", 8))
    earlier = replace(joined, input={name: value for name, value in joined.input.items() if name != "sources"})
    earlier = replace(
        earlier, architecture={name: value for name, value in joined.architecture.items() if name != "fusion"}
    )
    member = load_member(_checkpoint(tmp_path / "t", earlier), CPU)
    face, sound = _store(tmp_path, FACE, (3,)), _store(tmp_path, SOUND, (8, 9))
    found = predict_stores([member], [face, sound])
    present = (face.valid & sound.valid)[:, None]
    features = np.concatenate([face.features(), sound.features()], axis=1) * present
    clip = Clip("v", features.astype(np.float16), present, face.valid, np.full(T, -1, dtype=np.int8))
    (expected,) = predict_clips(on_windows(build_temporal(earlier, seed=0).eval()), earlier, [clip])
    assert np.array_equal(found.probs, expected.probs) and np.array_equal(found.valid, face.valid)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_live_predictions_equal_those_of_the_whole_sequence(fusion: str) -> None:
    spec = _spec(FACE, SOUND, fusion=fusion, causal=True)
    spec = replace(spec, input={**spec.input, "window": 40, "hop": 40})
    model = on_windows(build_temporal(spec, seed=0).eval())
    generator = np.random.default_rng(0)
    parts = [generator.normal(size=(T, source.dim)).astype(np.float16) for source in (FACE, SOUND)]
    present = generator.random((T, 2)) < 0.6
    clip = Clip("v", np.concatenate(parts, axis=1), present, present[:, 0], np.full(T, -1, dtype=np.int8))
    (whole,) = predict_clips(model, spec, [clip])
    live = LivePredictor(model, spec)
    found = [
        live.push(*(part[frame] if there else None for part, there in zip(parts, present[frame], strict=True)))
        for frame in range(T)
    ]
    np.testing.assert_allclose(np.stack(found), whole.probs, atol=1e-5)
