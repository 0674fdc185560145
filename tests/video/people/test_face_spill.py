"""Faces on disk come back as one row per frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from abaw.stores.faces import VIDEO_SCHEMA
from abaw.video.detecting.detections import Detections
from abaw.video.people.face_spill import FaceSpill


def faces(num: int) -> Detections:
    return Detections(np.arange(4 * num, dtype=np.float32).reshape(num, 4), np.full(num, 0.5, np.float32), None)


def test_frames_with_faces_without_and_missing_ones(tmp_path: Path) -> None:
    num_frames = 500
    with FaceSpill(tmp_path) as spill:
        for frame in range(1, num_frames + 1):
            if frame % 5 == 0:
                spill.add_missing(frame, frame / 25, f"frame {frame} is broken")
            elif frame % 5 == 1:
                spill.add(frame, frame / 25, faces(0), [[]], [])
            else:
                spill.add(frame, frame / 25, faces(3), [[b"nobody", b"one", b"two"]], [0, 1, 2])
        spill.finish()
        one, none = (pa.Table.from_batches(spill.rows(tracks)).to_pydict() for tracks in ({1}, set()))
    for table in (one, none):
        assert table["frame"] == list(range(1, num_frames + 1))
        assert table["time_s"] == [frame / 25 for frame in table["frame"]]
        assert table["fault"] == [f"frame {k} is broken" if k % 5 == 0 else None for k in table["frame"]]
    assert one["jpeg"] == [b"one" if frame % 5 > 1 else None for frame in one["frame"]]
    assert one["track"] == [1 if frame % 5 > 1 else None for frame in one["frame"]]
    assert one["box_xyxy"][1] == [4, 5, 6, 7]
    assert set(none["jpeg"]) == set(none["track"]) == {None}


def test_each_kind_of_crop_comes_back_alone(tmp_path: Path) -> None:
    with FaceSpill(tmp_path, num_crops=2) as spill:
        spill.add(1, 0.0, faces(2), [[b"small 1", b"small 2"], [b"large 1", b"large 2"]], [1, 2])
        spill.add(2, 0.04, faces(0), [[], []], [])
        spill.finish()
        tables = [pa.Table.from_batches(spill.rows({2}, crop)) for crop in (0, 1)]
    assert [table["jpeg"].to_pylist() for table in tables] == [[b"small 2", None], [b"large 2", None]]
    assert tables[0].schema == tables[1].schema == VIDEO_SCHEMA
    assert tables[0].drop_columns("jpeg") == tables[1].drop_columns("jpeg")
