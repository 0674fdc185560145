from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from abaw.core.config import to_plain
from abaw.core.errors import ConfigError, DataError
from abaw.data.crops import decode_crops
from abaw.extractors.extractor import Extractor
from abaw.extractors.registry import open_extractor
from abaw.inference.features import write_video_features
from abaw.models.image_input import image_input
from abaw.models.static import load_static
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.stores.arrow import StoreError
from abaw.stores.checkpoints import save_checkpoint
from abaw.stores.crop import Crop
from abaw.stores.faces import open_faces
from abaw.stores.features import open_features
from abaw.stores.spec import CheckpointError
from tests.checkpoints import static_checkpoint
from tests.data.faces import picture, still_store, video_store

LABELS = [0, None, 2, 3, 4, None, 6]
CPU = "cpu"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return static_checkpoint(tmp_path_factory.mktemp("static") / "ckpt")


@pytest.fixture(scope="module")
def extractor(checkpoint: Path) -> Extractor:
    return open_extractor(str(checkpoint), CPU)


def test_there_is_one_row_per_frame_and_frames_without_a_face_are_masked(tmp_path: Path, extractor: Extractor) -> None:
    faces = open_faces(video_store(tmp_path / "v.arrow", LABELS))
    assert write_video_features(faces, extractor, tmp_path / "out/v.arrow")
    store = open_features(tmp_path / "out/v.arrow")
    assert store.frames.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert store.valid.tolist() == [label is not None for label in LABELS]
    assert (store.feature_dim, store.backbone) == (128, extractor.weights_id)
    assert (store.meta["fps"], store.meta["classes"]) == (25.0, list(EXPRESSION_CLASSES))
    features = store.features()
    assert (features[~store.valid] == 0).all()
    assert (np.abs(features[store.valid]).sum(1) > 0).all()


@pytest.mark.parametrize("flip", [False, True])
def test_the_feature_of_a_row_is_that_of_its_crop(
    tmp_path: Path, checkpoint: Path, extractor: Extractor, flip: bool
) -> None:
    faces = open_faces(video_store(tmp_path / "v.arrow", LABELS))
    flipping = replace(extractor, flip=flip)
    write_video_features(faces, flipping, tmp_path / "out.arrow")
    images = decode_crops([faces.jpeg(3) or b""], 32, ["row 3"]).float() / 255
    model, spec = load_static(checkpoint)
    standard = image_input(spec).normalise(images)
    with torch.no_grad():
        expected = model.features(standard)
        mirrored = model.features(standard.flip(3))
    if flip:
        expected = (expected + mirrored) / 2
    assert not torch.allclose(expected, mirrored, atol=1e-3)
    found = open_features(tmp_path / "out.arrow").features()[3]
    assert np.allclose(found, expected.numpy(), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_the_batch_size_changes_nothing(tmp_path: Path, extractor: Extractor, batch_size: int) -> None:
    faces = open_faces(video_store(tmp_path / "v.arrow", LABELS))
    write_video_features(faces, extractor, tmp_path / "a.arrow")
    calls: list[tuple[int, int | None]] = []
    small = replace(extractor, batch_size=batch_size)
    write_video_features(faces, small, tmp_path / "b.arrow", lambda done, total: calls.append((done, total)))
    a, b = open_features(tmp_path / "a.arrow"), open_features(tmp_path / "b.arrow")
    assert np.allclose(a.features(), b.features(), atol=2e-3)
    assert calls[-1] == (7, 7)


@pytest.mark.parametrize("labels", [[], [None, None, None]], ids=["no frame", "no face"])
def test_a_video_without_a_face_has_a_store_without_features(
    tmp_path: Path, extractor: Extractor, labels: list[None]
) -> None:
    write_video_features(open_faces(video_store(tmp_path / "v.arrow", labels)), extractor, tmp_path / "out.arrow")
    store = open_features(tmp_path / "out.arrow")
    assert store.features().shape == (len(labels), 128)
    assert not store.valid.any()


def test_features_of_the_same_faces_are_kept_and_others_refused(tmp_path: Path, extractor: Extractor) -> None:
    faces = open_faces(video_store(tmp_path / "v.arrow", LABELS))
    out = tmp_path / "out.arrow"
    assert write_video_features(faces, extractor, out)
    before = out.stat().st_mtime_ns
    assert not write_video_features(faces, extractor, out)
    assert out.stat().st_mtime_ns == before
    others = [
        (faces, replace(extractor, flip=True)),
        (faces, open_extractor(str(static_checkpoint(tmp_path / "other", seed=1)), CPU)),
        (open_faces(video_store(tmp_path / "w.arrow", LABELS, seed=1)), extractor),
    ]
    for other_faces, other in others:
        with pytest.raises(StoreError, match=r"out\.arrow: was made from another input or with other settings"):
            write_video_features(other_faces, other, out)


@pytest.mark.parametrize(
    ("before", "now"), [((), ("Aff-Wild2",)), (("Aff-Wild2",), ()), (("valid1",), ("valid1", "valid2"))]
)
def test_features_that_record_other_training_data_are_refused(
    tmp_path: Path, extractor: Extractor, before: tuple[str, ...], now: tuple[str, ...]
) -> None:
    faces, out = open_faces(video_store(tmp_path / "v.arrow", LABELS)), tmp_path / "out.arrow"
    assert write_video_features(faces, replace(extractor, trained_on=before), out)
    assert not write_video_features(faces, replace(extractor, trained_on=before[::-1]), out)
    with pytest.raises(StoreError) as error:
        write_video_features(faces, replace(extractor, trained_on=now), out)
    assert str(error.value) == (
        f"{out}: records that {extractor.name} was trained on {', '.join(before) or 'nothing'}, expected "
        f"{', '.join(now) or 'nothing'} (trained_on); choose another --out or remove it"
    )
    store = open_features(out)
    assert (store.meta["trained_on"], store.backbone) == (list(before), extractor.source)


def test_stills_are_refused(tmp_path: Path, extractor: Extractor) -> None:
    faces = open_faces(still_store(tmp_path / "a.arrow", [0, 1]))
    with pytest.raises(StoreError, match=r"a\.arrow: holds stills"):
        write_video_features(faces, extractor, tmp_path / "out.arrow")


def test_a_damaged_crop_is_reported_and_leaves_no_store(tmp_path: Path, extractor: Extractor) -> None:
    jpegs = [picture(0, np.random.default_rng(0)), b"damaged"]
    faces = open_faces(video_store(tmp_path / "v.arrow", [0, 1], jpeg=jpegs))
    with pytest.raises(DataError, match=r"v\.arrow:2: its crop is not a readable image"):
        write_video_features(faces, extractor, tmp_path / "out/v.arrow")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_feature_too_large_for_its_type_is_reported(tmp_path: Path) -> None:
    model, spec = load_static(static_checkpoint(tmp_path / "ckpt"))
    with torch.no_grad():
        model.backbone.get_parameter("blocks.2.second_norm.bias").fill_(1e6)
    save_checkpoint(tmp_path / "ckpt", spec, model.state_dict())
    broken = open_extractor(str(tmp_path / "ckpt"), CPU)
    faces = open_faces(video_store(tmp_path / "v.arrow", [0, 1]))
    with pytest.raises(DataError, match=r"v\.arrow:1: its feature does not fit float16"):
        write_video_features(faces, broken, tmp_path / "out.arrow")


def test_an_empty_batch_is_refused(extractor: Extractor) -> None:
    with pytest.raises(ConfigError, match="batch_size is 0"):
        replace(extractor, batch_size=0)


def test_a_model_refuses_another_kind_of_crop_than_its_own(tmp_path: Path) -> None:
    folder = static_checkpoint(tmp_path / "ckpt", crop=Crop("box", 224, 0.3))
    extractor = open_extractor(str(folder), CPU)
    faces = open_faces(video_store(tmp_path / "v.arrow", LABELS))
    with pytest.raises(StoreError) as error:
        write_video_features(faces, extractor, tmp_path / "out.arrow")
    assert str(error.value) == (
        f"{tmp_path}/v.arrow: holds aligned:112 crops, but the static model {extractor.weights_id} expects "
        "box:224:0.30; give faces made with --crop box:224:0.30"
    )
    assert not (tmp_path / "out.arrow").exists()
    same = open_extractor(str(static_checkpoint(tmp_path / "same", crop=Crop("official", 112))), CPU)
    assert write_video_features(faces, same, tmp_path / "out.arrow")


def test_a_spec_of_an_earlier_version_takes_any_crop(tmp_path: Path) -> None:
    folder = static_checkpoint(tmp_path / "ckpt")
    spec = json.loads((folder / "spec.json").read_text())
    assert spec["input"].pop("crop") is None
    (folder / "spec.json").write_text(json.dumps(spec))
    extractor = open_extractor(str(folder), CPU)
    assert extractor.crop is None
    path = video_store(tmp_path / "v.arrow", LABELS, meta={"crop": to_plain(Crop("box", 224, 0.3))})
    assert write_video_features(open_faces(path), extractor, tmp_path / "out.arrow")


def test_a_spec_with_no_kind_of_crop_is_refused(tmp_path: Path) -> None:
    folder = static_checkpoint(tmp_path / "ckpt")
    spec = json.loads((folder / "spec.json").read_text())
    spec["input"]["crop"] = "round"
    (folder / "spec.json").write_text(json.dumps(spec))
    with pytest.raises(CheckpointError, match="input.crop.: expected an object of keys and values, found .round."):
        open_extractor(str(folder), CPU)
