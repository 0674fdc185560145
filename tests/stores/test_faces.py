from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from abaw.stores.arrow import StoreError, write_store
from abaw.stores.faces import IMAGE_SCHEMA, VIDEO_SCHEMA, open_faces, write_image_faces, write_video_faces

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


def test_a_store_of_another_kind_is_refused(tmp_path: Path) -> None:
    write_store(tmp_path / "f.arrow", "features", pa.schema([("frame", pa.int32())]), [], {})
    with pytest.raises(StoreError, match="expected a store of faces, found features"):
        open_faces(tmp_path / "f.arrow")
