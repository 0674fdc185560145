"""One video becomes stores: one row per decoded frame, complete or absent, the same every time."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from abaw.core.artifacts import StorageError
from abaw.core.errors import ConfigError, DataError
from abaw.protocol.layout import Subject, parse_subject
from abaw.stores.arrow import StoreError
from abaw.stores.faces import open_faces
from abaw.video.extract import encode_crop, extract_video
from abaw.video.options import ExtractOptions
from tests.video.clips import cut_off, noise, portrait, write_clip
from tests.video.fakes import Blobs

MAIN = [parse_subject("clip")]
SIZE = 128


def frame(*faces: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Black with squares (left, top, side); small ones are of another colour, so that they are somebody else."""
    picture = np.zeros((SIZE, SIZE, 3), np.uint8)
    for left, top, side in faces:
        picture[top : top + side, left : left + side] = (250, 180, 160) if side > 30 else (60, 120, 250)
    return picture


LARGE, SMALL = (64, 40, 40), (16, 48, 24)
SCENES = [frame(LARGE, SMALL)] * 30 + [frame()] * 10 + [frame(SMALL)] * 5 + [frame()] * 25 + [frame(LARGE, SMALL)] * 20
"""Two people; nobody; the small one alone; nobody for longer than tracks survive; both again."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", SCENES)


def extract(path: Path, out: Path, subjects: list[Subject] | None = MAIN, **options: Any) -> Any:
    return extract_video(path, out, Blobs(), subjects, ExtractOptions(**options))


def table(path: Path) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = open_faces(path).store.table.to_pydict()
    return columns


def test_main_person_one_row_for_every_frame(clip: Path, tmp_path: Path) -> None:
    done = extract(clip, tmp_path)
    assert (done.frames, done.faces, done.lost_frames, done.skipped, done.warnings) == (90, 55, 0, False, ())
    assert [(store.subject, store.faces) for store in done.stores] == [("clip", 50)]
    rows = table(tmp_path / "clip.arrow")
    assert rows["frame"] == list(range(1, 91))
    np.testing.assert_allclose(rows["time_s"], np.arange(90) / 25, atol=1e-5)
    there = [jpeg is not None for jpeg in rows["jpeg"]]
    assert there == [True] * 30 + [False] * 40 + [True] * 20
    for name in ("box_xyxy", "landmarks_xy", "score", "track"):
        assert [value is not None for value in rows[name]] == there, name
    np.testing.assert_allclose(rows["box_xyxy"][0], [64, 40, 104, 80], atol=2)
    assert rows["score"][0] == pytest.approx(0.9)
    assert len(rows["landmarks_xy"][0]) == 10


def test_crops_are_decodable_jpegs_of_the_face(clip: Path, tmp_path: Path) -> None:
    extract(clip, tmp_path)
    crop = cv2.imdecode(np.frombuffer(open_faces(tmp_path / "clip.arrow").jpeg(0) or b"", np.uint8), cv2.IMREAD_COLOR)
    assert crop.shape == (112, 112, 3)
    np.testing.assert_allclose(crop[60, 56], (160, 180, 250), atol=12)  # OpenCV reads BGR


def test_metadata_record_the_source(clip: Path, tmp_path: Path) -> None:
    extract(clip, tmp_path)
    meta = open_faces(tmp_path / "clip.arrow").meta
    wanted = {
        "kind": "faces",
        "video": "clip",
        "subject": "clip",
        "choice": "main",
        "source": "clip.mp4",
        "fps": 25.0,
        "frame_size_wh": [SIZE, SIZE],
        "num_frames": 90,
        "header_frames": 90,
        "lost_frames": 0,
        "faces": 50,
        "detector": "blobs",
    }
    assert {key: meta[key] for key in wanted} == wanted
    assert meta["options"]["reader"] == "pyav"
    assert meta["tool"].startswith("abaw ")


def test_left_and_right(clip: Path, tmp_path: Path) -> None:
    extract(clip, tmp_path, [parse_subject("clip_left"), parse_subject("clip_right")])
    left, right = (open_faces(tmp_path / f"clip_{side}.arrow") for side in ("left", "right"))
    assert (len(left), len(right), left.meta["faces"], right.meta["faces"]) == (90, 90, 55, 50)
    assert table(left.store.path)["box_xyxy"][0][0] == pytest.approx(16, abs=2)
    assert table(right.store.path)["box_xyxy"][0][0] == pytest.approx(64, abs=2)


def test_every_track_as_a_store_and_resumed(clip: Path, tmp_path: Path) -> None:
    done = extract(clip, tmp_path, None, min_track_frames=20)
    names = [store.subject for store in done.stores]
    assert len(names) == 4
    assert all(len(open_faces(store.path)) == 90 for store in done.stores)
    assert sorted(store.faces for store in done.stores) == [20, 20, 30, 30]
    assert extract(clip, tmp_path, None, min_track_frames=20).skipped
    done.stores[2].path.unlink()
    again = extract(clip, tmp_path, None, min_track_frames=20)
    assert not again.skipped
    assert [store.subject for store in again.stores] == names


def test_every_track_of_a_video_without_one(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", [frame()] * 12)
    done = extract(path, tmp_path / "faces", None)
    assert [(store.subject, store.faces) for store in done.stores] == [("clip", 0)]
    assert extract(path, tmp_path / "faces", None).skipped


def test_a_video_without_a_face(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", [frame()] * 12)
    done = extract(path, tmp_path / "faces")
    assert done.warnings == ("no face on any frame",)
    store = open_faces(tmp_path / "faces" / "clip.arrow")
    assert (len(store), int(store.valid.sum())) == (12, 0)


def test_nobody_on_one_side(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", [frame((10, 40, 40))] * 12)
    done = extract(path, tmp_path / "faces", [parse_subject("clip_left"), parse_subject("clip_right")])
    assert done.warnings == ("nobody found for clip_right: its store has no face",)


def test_the_same_bytes_every_time(clip: Path, tmp_path: Path) -> None:
    contents = []
    for name in ("one", "two"):
        extract(clip, tmp_path / name)
        contents.append((tmp_path / name / "clip.arrow").read_bytes())
    assert contents[0] == contents[1]


def test_done_work_is_kept_and_other_work_refused(clip: Path, tmp_path: Path) -> None:
    extract(clip, tmp_path)
    before = (tmp_path / "clip.arrow").stat().st_mtime_ns
    done = extract(clip, tmp_path)
    assert done.skipped
    assert [(store.subject, store.faces) for store in done.stores] == [("clip", 50)]
    assert (tmp_path / "clip.arrow").stat().st_mtime_ns == before
    with pytest.raises(StoreError, match="other settings"):
        extract(clip, tmp_path, jpeg_quality=80)
    other = write_clip(tmp_path / "clip.mp4", [frame(LARGE)] * 5)
    with pytest.raises(StoreError, match="another input"):
        extract(other, tmp_path)


def test_a_missing_store_of_two_is_added(clip: Path, tmp_path: Path) -> None:
    both = [parse_subject("clip_left"), parse_subject("clip_right")]
    extract(clip, tmp_path, both)
    wanted = (tmp_path / "clip_right.arrow").read_bytes()
    (tmp_path / "clip_right.arrow").unlink()
    assert not extract(clip, tmp_path, both).skipped
    assert (tmp_path / "clip_right.arrow").read_bytes() == wanted


def test_a_cut_off_video_reports_what_was_lost(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mp4", noise(40))
    path = cut_off(whole, tmp_path / "clip.mp4", 0.5)
    done = extract(path, tmp_path / "faces")
    meta = open_faces(tmp_path / "faces" / "clip.arrow").meta
    assert 5 < done.frames < 35
    assert meta["lost_frames"] == done.lost_frames == 40 - done.frames
    assert done.warnings[0].startswith(f"damaged or cut off: {done.lost_frames} of the 40 frames")


def test_no_video_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_text("no video")
    with pytest.raises(DataError, match="is not a video"):
        extract(path, tmp_path / "faces")
    assert list((tmp_path / "faces").iterdir()) == []


@pytest.mark.parametrize("where", ["spill", "store"])
def test_full_disk_leaves_nothing_behind(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def full(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    if where == "spill":
        monkeypatch.setattr(pa.ipc, "new_stream", lambda *_: _FullWriter())
    else:
        monkeypatch.setattr("abaw.core.artifacts._fsync", full)
    with pytest.raises(StorageError, match="the disk is full; free some space"):
        extract(clip, tmp_path / "faces")
    assert list((tmp_path / "faces").iterdir()) == []
    monkeypatch.undo()
    assert extract(clip, tmp_path / "faces").frames == 90


class _FullWriter:
    def write_batch(self, batch: pa.RecordBatch) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_file_in_place_of_the_folder(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "faces").write_text("")
    with pytest.raises(StorageError, match="faces: cannot write: .*choose another output folder"):
        extract(clip, tmp_path / "faces")


def test_no_permission(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: Any, **__: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", denied)
    with pytest.raises(StorageError, match="no permission to write there"):
        extract(clip, tmp_path / "faces")


@pytest.mark.parametrize(
    "options",
    [
        {"jpeg_quality": 0},
        {"min_score": 1.5},
        {"max_gap": -1},
        {"min_iou": 0.0},
        {"min_track_frames": 0},
        {"full_every": 0},
        {"region": 1.0},
        {"region_px": 8},
        {"max_score_drop": 0.0},
    ],
)
def test_options_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        ExtractOptions(**options)


def test_jpeg_quality_counts() -> None:
    assert len(encode_crop(portrait(112), 50)) < len(encode_crop(portrait(112), 95))
