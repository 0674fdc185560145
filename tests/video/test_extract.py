"""One video becomes stores: one row per decoded frame, complete or absent, the same every time."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from abaw.core.artifacts import StorageError, value_hash
from abaw.core.errors import ConfigError, DataError
from abaw.protocol.layout import Subject, parse_subject
from abaw.stores.arrow import StoreError
from abaw.stores.crop import ALIGNED_112, Crop, parse_crops
from abaw.stores.faces import open_faces, write_video_faces
from abaw.video import extract as module
from abaw.video.extract import encode_crop, extract_video
from abaw.video.options import ExtractOptions
from abaw.video.people.appearance import appearances
from abaw.video.people.corrections import Correction
from abaw.video.reading.registry import open_video
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


def test_every_person_as_a_store_and_resumed(clip: Path, tmp_path: Path) -> None:
    done = extract(clip, tmp_path, None, min_track_frames=20)
    names = [store.subject for store in done.stores]
    assert names == ["clip_person1", "clip_person2"]  # two tracks each, joined across the cut
    assert all(len(open_faces(store.path)) == 90 for store in done.stores)
    assert [store.faces for store in done.stores] == [55, 50]
    assert extract(clip, tmp_path, None, min_track_frames=20).skipped
    done.stores[1].path.unlink()
    again = extract(clip, tmp_path, None, min_track_frames=20)
    assert not again.skipped
    assert [store.subject for store in again.stores] == names


def test_everybody_in_a_video_without_a_face(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", [frame()] * 12)
    done = extract(path, tmp_path / "faces", None)
    assert [(store.subject, store.faces) for store in done.stores] == [("clip", 0)]
    assert extract(path, tmp_path / "faces", None).skipped


def test_a_video_without_a_face(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", [frame()] * 12)
    done = extract(path, tmp_path / "faces")
    assert done.warnings == ("no face in this video",)
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


BOTH = parse_crops(["aligned:112", "box:96:0.25"])
BOX = BOTH[1]
IN_BOTH = ("aligned-112", "box-96-0.25")


def extract_crops(path: Path, out: Path, crops: Sequence[Crop] = BOTH, **named: Any) -> tuple[Any, Blobs]:
    """The result, and the detector with its counts."""
    detector, subjects = Blobs(), named.pop("subjects", MAIN)
    done = extract_video(path, out, detector, subjects, ExtractOptions(), named.pop("corrections", None), crops)
    return done, detector


def test_several_kinds_of_crop_come_from_one_pass(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    monkeypatch.setattr(module, "open_video", lambda path, *rest: opened.append(path) or open_video(path, *rest))
    _, alone = extract_crops(clip, tmp_path / "one", [ALIGNED_112])
    done, both = extract_crops(clip, tmp_path / "two")
    assert opened == [clip, clip]
    assert (both.whole, both.region_passes) == (alone.whole, alone.region_passes)
    assert both.whole > 1 and both.region_passes
    assert [store.path for store in done.stores] == [tmp_path / "two" / name / "clip.arrow" for name in IN_BOTH]
    assert [(store.crop, store.faces) for store in done.stores] == [(ALIGNED_112, 50), (BOX, 50)]
    assert done.people == done.stores[:1]
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == list(IN_BOTH)


def test_aligned_crops_are_the_same_bytes_next_to_another_kind(clip: Path, tmp_path: Path) -> None:
    both = [parse_subject("clip_left"), parse_subject("clip_right")]
    extract_crops(clip, tmp_path / "one", [ALIGNED_112], subjects=both)
    extract_crops(clip, tmp_path / "two", subjects=both)
    for name in ("clip_left.arrow", "clip_right.arrow"):
        alone = (tmp_path / "one" / name).read_bytes()
        assert (tmp_path / "two" / "aligned-112" / name).read_bytes() == alone


def test_stores_of_two_kinds_differ_in_their_crops_alone(clip: Path, tmp_path: Path) -> None:
    done, _ = extract_crops(clip, tmp_path)
    aligned, box = (open_faces(store.path) for store in done.stores)
    assert (aligned.crop, box.crop) == BOTH
    assert aligned.store.table.drop_columns("jpeg") == box.store.table.drop_columns("jpeg")
    apart = {key for key in aligned.meta if aligned.meta[key] != box.meta[key]}
    assert apart == {"crop", "crop_size", "fingerprint"}
    crop = cv2.imdecode(np.frombuffer(box.jpeg(0) or b"", np.uint8), cv2.IMREAD_COLOR)
    assert crop.shape == (96, 96, 3)
    # The face of 40 pixels fills the middle two thirds of 96; the rest is the black around it.
    assert crop[48, 20].max() > 200 and crop[48, 76].max() > 200
    assert crop[48, 10].max() < 40 and crop[48, 86].max() < 40


def test_a_single_kind_is_in_the_folder_itself(clip: Path, tmp_path: Path) -> None:
    extract_crops(clip, tmp_path, [BOX])
    assert [path.name for path in tmp_path.iterdir()] == ["clip.arrow"]
    assert open_faces(tmp_path / "clip.arrow").crop == BOX
    with pytest.raises(StoreError, match="with other settings"):
        extract_crops(clip, tmp_path, [ALIGNED_112])


@pytest.mark.parametrize("subjects", [MAIN, None])
def test_only_a_missing_kind_is_made(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subjects: list[Subject] | None
) -> None:
    whole, _ = extract_crops(clip, tmp_path, subjects=subjects)
    lost = [store.path for store in whole.stores if store.crop == BOX]
    contents = [path.read_bytes() for path in lost]
    kept = {store.path: store.path.stat().st_mtime_ns for store in whole.stores if store.crop == ALIGNED_112}
    for path in lost:
        path.unlink()
    made: list[tuple[int, ...]] = []
    monkeypatch.setattr(
        module, "encode_crop", lambda crop, quality: made.append(crop.shape) or encode_crop(crop, quality)
    )
    again, _ = extract_crops(clip, tmp_path, subjects=subjects)
    assert set(made) == {(96, 96, 3)}
    assert not again.skipped and again.stores == whole.stores
    assert [path.read_bytes() for path in lost] == contents
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert extract_crops(clip, tmp_path, subjects=subjects)[0].skipped


def test_a_third_kind_is_added_to_two(clip: Path, tmp_path: Path) -> None:
    extract_crops(clip, tmp_path)
    done, _ = extract_crops(clip, tmp_path, parse_crops(["box:32:0", "aligned:112", "box:96:0.25"]))
    assert [store.path.parent.name for store in done.stores] == ["box-32-0.00", *IN_BOTH]


def test_appearances_do_not_depend_on_the_crops(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[NDArray[np.float32]]] = []

    def noted(*arguments: Any) -> NDArray[np.float32]:
        seen[-1].append(appearances(*arguments))
        return seen[-1][-1]

    monkeypatch.setattr(module, "appearances", noted)
    for name, crops in (("aligned", [ALIGNED_112]), ("both", BOTH), ("box", [BOX])):
        seen.append([])
        extract_crops(clip, tmp_path / name, crops)
    assert len(seen[0]) == len(SCENES)
    for other in seen[1:]:
        for one, two in zip(seen[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_a_person_chosen_by_hand_is_the_same_in_every_kind(clip: Path, tmp_path: Path) -> None:
    plain, _ = extract_crops(clip, tmp_path / "plain")
    other = open_faces(plain.stores[0].path).meta["runner_up"][0]
    fix = {"clip": (Correction("clip", other, "clip", "fix.csv, line 2"),)}
    done, _ = extract_crops(clip, tmp_path, corrections=fix)
    tracks = [open_faces(store.path).meta["tracks"] for store in done.stores]
    assert tracks[0] == tracks[1] and other in tracks[0]
    done.stores[1].path.unlink()
    message = r"aligned-112/clip\.arrow: shows a person chosen by hand; give the same --corrections again"
    with pytest.raises(StoreError, match=message):
        extract_crops(clip, tmp_path)
    assert extract_crops(clip, tmp_path, corrections=fix)[0].stores == done.stores


def test_a_store_of_an_earlier_version_counts_as_aligned_112(clip: Path, tmp_path: Path) -> None:
    extract_crops(clip, tmp_path / "new", [ALIGNED_112])
    new = open_faces(tmp_path / "new" / "clip.arrow")
    meta = {key: value for key, value in new.meta.items() if key not in ("crop", "kind")}
    write_video_faces(tmp_path / "clip.arrow", new.store.table.to_batches(), meta)
    assert open_faces(tmp_path / "clip.arrow").crop == ALIGNED_112
    assert extract_crops(clip, tmp_path, [ALIGNED_112])[0].skipped, "its fingerprint is still the same"
    settings = {
        "source": "clip.mp4",
        "source_hash": new.meta["source_hash"],
        "detector": "blobs",
        "crop_size": 112,
        "options": new.meta["options"],
        "subject": "clip",
        "choice": "main",
    }
    assert new.meta["fingerprint"] == value_hash(settings), "as versions without kinds of crop computed it"
