from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from abaw.core.config import to_plain
from abaw.stores.arrow import StoreError, write_store
from abaw.stores.crop import ALIGNED_112, Crop, parse_crop
from abaw.stores.faces import (
    IMAGE_SCHEMA,
    VIDEO_SCHEMA,
    FaceStore,
    common_crop,
    open_faces,
    require_crop,
    write_image_faces,
    write_video_faces,
)
from tests.data.faces import video_store

FACE = {"jpeg": b"\xff\xd8", "box_xyxy": [1.0, 2.0, 3.0, 4.0], "landmarks_xy": [0.5] * 10, "score": 0.75}


def test_a_video(tmp_path: Path) -> None:
    path = tmp_path / "video é.arrow"
    rows = [{"frame": 1, "time_s": 0.0, "track": 3, **FACE}, {"frame": 2, "time_s": 0.04}]
    batch = pa.RecordBatch.from_pylist(rows, schema=VIDEO_SCHEMA)
    assert write_video_faces(path, [batch], {"fps": 25.0}) == 2
    faces = open_faces(path)
    assert (faces.name, len(faces), faces.is_video, faces.key) == ("video é", 2, True, "frame")
    assert faces.keys.to_pylist() == [1, 2]
    assert faces.valid.tolist() == [True, False]
    assert faces.jpeg(0) == FACE["jpeg"]
    assert faces.jpeg(1) is None
    assert faces.meta["fps"] == 25.0
    assert faces.store.table.column("landmarks_xy").to_pylist() == [FACE["landmarks_xy"], None]
    with pytest.raises(StoreError, match="have no labels"):
        _ = faces.labels
    with pytest.raises(StoreError, match="have no votes"):
        _ = faces.votes


def test_frames_that_cannot_be_decoded_have_a_fault(tmp_path: Path) -> None:
    rows = [{"frame": 1, **FACE}, {"frame": 2, "fault": "packet damaged"}, {"frame": 3}]
    write_video_faces(tmp_path / "v.arrow", [pa.RecordBatch.from_pylist(rows, schema=VIDEO_SCHEMA)], {})
    assert open_faces(tmp_path / "v.arrow").faults == {1: "packet damaged"}


def test_a_store_of_an_earlier_version_has_no_faults(tmp_path: Path) -> None:
    earlier = VIDEO_SCHEMA.remove(VIDEO_SCHEMA.get_field_index("fault"))
    batch = pa.RecordBatch.from_pylist([{"frame": 1, "time_s": 0.0, **FACE}], schema=earlier)
    write_store(tmp_path / "v.arrow", "faces", earlier, [batch], {})
    assert open_faces(tmp_path / "v.arrow").faults == {}


def test_an_image_set(tmp_path: Path) -> None:
    path = tmp_path / "set.arrow"
    rows = [
        {"image": "Anger/1.jpg", "label": 1, **FACE},
        {"image": "b.jpg", **FACE},
        {"image": "Other/c.jpg", "label": 7},
    ]
    assert write_image_faces(path, [pa.RecordBatch.from_pylist(rows, schema=IMAGE_SCHEMA)], {}) == 3
    faces = open_faces(path)
    assert (faces.is_video, faces.key) == (False, "image")
    assert faces.labels.tolist() == [1, -1, 7]
    assert faces.valid.tolist() == [True, True, False]


def test_votes(tmp_path: Path) -> None:
    shares = [0.5, 0, 0, 0, 0.25, 0, 0, 0.25]
    rows = [{"image": "a.jpg"}, {"image": "b.jpg", "label": 0, "votes": shares, **FACE}, {"image": "c.jpg", "label": 3}]
    batches = [pa.RecordBatch.from_pylist(part, schema=IMAGE_SCHEMA) for part in (rows, rows[:1], rows[1:])]
    write_image_faces(tmp_path / "s.arrow", batches, {})
    votes = open_faces(tmp_path / "s.arrow").votes
    assert (votes.dtype, votes.shape) == (np.float32, (6, 8))
    assert np.isnan(votes).all(axis=1).tolist() == [True, False, True, True, False, True]
    assert (votes[[1, 4]] == np.array(shares, np.float32)).all()


def test_a_store_of_an_earlier_version_has_no_votes(tmp_path: Path) -> None:
    earlier = IMAGE_SCHEMA.remove(IMAGE_SCHEMA.get_field_index("votes"))
    batch = pa.RecordBatch.from_pylist([{"image": "a.jpg", "label": 2, **FACE}], schema=earlier)
    write_store(tmp_path / "s.arrow", "faces", earlier, [batch], {})
    faces = open_faces(tmp_path / "s.arrow")
    assert faces.labels.tolist() == [2]
    assert np.isnan(faces.votes).all() and faces.votes.shape == (1, 8)


def test_no_rows(tmp_path: Path) -> None:
    write_video_faces(tmp_path / "v.arrow", [], {})
    faces = open_faces(tmp_path / "v.arrow")
    assert len(faces) == 0
    assert faces.valid.shape == (0,)
    write_image_faces(tmp_path / "s.arrow", [], {})
    assert open_faces(tmp_path / "s.arrow").votes.shape == (0, 8)


def test_a_corrected_store_is_another_one(tmp_path: Path) -> None:
    """It shows somebody else, though it is made from the same video with the same settings."""
    corrections = (None, [2], [3])
    made = [
        video_store(tmp_path / f"{number}.arrow", [0, 1], meta={"fingerprint": "same", "correction": correction})
        for number, correction in enumerate(corrections)
    ]
    found = [open_faces(path).fingerprint for path in made]
    assert found[0] == "same" and len(set(found)) == 3


def test_a_store_of_another_kind_is_refused(tmp_path: Path) -> None:
    write_store(tmp_path / "f.arrow", "features", pa.schema([("frame", pa.int32())]), [], {})
    with pytest.raises(StoreError, match="expected a store of faces, found features"):
        open_faces(tmp_path / "f.arrow")


def with_crop(path: Path, crop: object) -> FaceStore:
    write_video_faces(path, [], {"crop": crop})
    return open_faces(path)


def test_the_kind_of_crop_is_in_the_metadata(tmp_path: Path) -> None:
    assert with_crop(tmp_path / "v.arrow", {"kind": "box", "pixels": 224, "margin": 0.3}).crop == Crop("box", 224, 0.3)


def test_a_store_of_an_earlier_version_holds_aligned_112(tmp_path: Path) -> None:
    write_video_faces(tmp_path / "v.arrow", [], {"crop_size": 112})
    assert open_faces(tmp_path / "v.arrow").crop == ALIGNED_112


@pytest.mark.parametrize(
    "crop",
    [
        "aligned",
        None,
        {},
        {"kind": "round", "pixels": 112, "margin": None},
        {"kind": "box", "pixels": 224, "margin": None},
        {"kind": "box", "pixels": "many", "margin": 0.3},
        {"kind": "aligned", "pixels": 112, "margin": None, "turn": 3},
    ],
)
def test_metadata_that_name_no_kind_of_crop_are_refused(tmp_path: Path, crop: object) -> None:
    with pytest.raises(
        StoreError, match=r"v\.arrow: .*crop.*the store is damaged or of a later version, write it again"
    ):
        _ = with_crop(tmp_path / "v.arrow", crop).crop


@pytest.mark.parametrize(
    ("found", "expected", "message"),
    [
        ("aligned:112", None, ""),
        ("aligned:112", "aligned:112", ""),
        ("official:112", "aligned:112", ""),
        ("aligned:112", "official:112", ""),
        (
            "aligned:112",
            "box:224:0.3",
            "v.arrow: holds aligned:112 crops, but the model expects box:224:0.30; give faces made with --crop "
            "box:224:0.30",
        ),
        (
            "box:224:0.3",
            "official:112",
            "v.arrow: holds box:224:0.30 crops, but the model expects official:112; give faces made with --crop "
            "aligned:112",
        ),
        (
            "aligned:112",
            "other:200",
            "v.arrow: holds aligned:112 crops, but the model expects other:200; import the crops it was trained on",
        ),
    ],
)
def test_a_model_gets_the_kind_of_crop_that_it_expects(
    tmp_path: Path, found: str, expected: str | None, message: str
) -> None:
    faces = with_crop(tmp_path / "v.arrow", to_plain(parse_crop(found)))
    wanted = None if expected is None else parse_crop(expected)
    if not message:
        require_crop(faces, wanted, "the model")
        return
    with pytest.raises(StoreError) as error:
        require_crop(faces, wanted, "the model")
    assert str(error.value) == f"{tmp_path}/{message}"


def test_one_kind_of_crop_in_several_stores(tmp_path: Path) -> None:
    kinds = ["aligned:112", "official:112", "box:64:0.1"]
    stores = [with_crop(tmp_path / f"{place}.arrow", to_plain(parse_crop(kind))) for place, kind in enumerate(kinds)]
    assert common_crop(stores[:2]) == ALIGNED_112
    with pytest.raises(StoreError, match=r"2\.arrow: holds box:64:0\.10 crops, but .*0\.arrow holds aligned:112; use"):
        common_crop(stores)
