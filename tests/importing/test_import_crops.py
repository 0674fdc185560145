from __future__ import annotations

import errno
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abaw.core.artifacts import StorageError
from abaw.core.errors import DataError
from abaw.importing import import_crops as module
from abaw.importing.import_crops import find_crop_folders, fingerprint, import_crops, is_whole_jpeg, list_crops
from abaw.stores.faces import open_faces


def jpeg(seed: int = 0) -> bytes:
    image = np.random.default_rng(seed).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    return cv2.imencode(".jpg", image)[1].tobytes()


def make_crops(folder: Path, frames: list[int]) -> dict[int, bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    images = {frame: jpeg(frame) for frame in frames}
    for frame, data in images.items():
        (folder / f"{frame:05d}.jpg").write_bytes(data)
    return images


def test_bytes_stay_and_missing_images_are_rows_without_a_face(tmp_path: Path) -> None:
    images = make_crops(tmp_path / "video 1 é_left", [1, 2, 5])
    target = tmp_path / "faces" / "video 1 é_left.arrow"
    report = import_crops(list_crops(tmp_path / "video 1 é_left"), target)
    assert (report.num_rows, report.num_faces, report.bad) == (5, 3, [])
    faces = open_faces(target)
    assert faces.keys.to_pylist() == [1, 2, 3, 4, 5]
    assert faces.valid.tolist() == [True, True, False, False, True]
    for frame, data in images.items():
        assert faces.jpeg(frame - 1) == data
    table = faces.store.table
    for name in ("time_s", "box_xyxy", "landmarks_xy", "score", "track"):
        assert table.column(name).null_count == 5, name
    assert faces.meta["source"] == "crops"
    assert str(faces.crop) == "official:112"
    assert (faces.meta["frames"], faces.meta["images"]) == (5, 3)


@settings(max_examples=20, deadline=None)
@given(st.sets(st.integers(1, 40), min_size=1, max_size=10), st.integers(1, 7), st.integers(0, 50))
def test_rows_reach_the_last_image_or_the_given_count(frames: set[int], rows: int, num_frames: int) -> None:
    crops = module.CropFolder(Path("v"), {frame: f"{frame:05d}.jpg" for frame in frames})
    report = module.CropReport(num_rows=max(crops.last_frame, num_frames))
    original, module._ROWS = module._ROWS, rows
    read, module._read = module._read, lambda crops, frame, report: b"x" if frame in crops.images else None
    try:
        batches = list(module._batches(crops, report))
    finally:
        module._ROWS, module._read = original, read
    found = [frame for batch in batches for frame in batch.column("frame").to_pylist()]
    assert found == list(range(1, max(max(frames), num_frames) + 1))
    assert report.num_faces == len(frames)


@pytest.mark.parametrize(("num_frames", "expected"), [(None, 3), (2, 3), (6, 6)])
def test_label_lines_can_add_rows_but_never_take_any(tmp_path: Path, num_frames: int | None, expected: int) -> None:
    make_crops(tmp_path / "v", [3])
    report = import_crops(list_crops(tmp_path / "v"), tmp_path / "v.arrow", num_frames)
    assert report.num_rows == expected == len(open_faces(tmp_path / "v.arrow"))


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        pytest.param(jpeg(), True, id="whole"),
        pytest.param(jpeg() + b"\x00\x00", True, id="padded"),
        pytest.param(b"", False, id="empty"),
        pytest.param(jpeg()[:-50], False, id="truncated"),
        pytest.param(b"\x89PNG rubbish", False, id="no jpeg"),
        pytest.param(b"\xff\xd8rubbish\xff\xd9", False, id="marks around rubbish"),
    ],
)
def test_whole_jpegs(data: bytes, whole: bool) -> None:
    assert is_whole_jpeg(data) is whole


def test_bad_images_are_counted_and_the_rest_is_imported(tmp_path: Path) -> None:
    make_crops(tmp_path / "v", [1, 2, 3])
    (tmp_path / "v" / "00002.jpg").write_bytes(jpeg()[:100])
    report = import_crops(list_crops(tmp_path / "v"), tmp_path / "v.arrow")
    assert (report.num_faces, report.bad) == (2, ["00002.jpg"])
    assert open_faces(tmp_path / "v.arrow").valid.tolist() == [True, False, True]


def test_other_files_are_reported_and_left_out(tmp_path: Path) -> None:
    make_crops(tmp_path / "v", [1])
    for name in (".DS_Store", "00002.jpg.part", "face.jpg"):
        (tmp_path / "v" / name).touch()
    crops = list_crops(tmp_path / "v")
    assert list(crops.images.values()) == ["00001.jpg"]
    assert crops.ignored == ("00002.jpg.part", "face.jpg")


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["00001.png", "00002.png"], id="PNG"),
        pytest.param(["frame_00001.jpg"], id="a word before the number"),
        pytest.param(["\u0660\u0660\u0661.jpg"], id="Arabic digits"),
        pytest.param(["00003 (1).jpg", "00004 - Copy.jpg"], id="copies only"),
        pytest.param(["1234567890.jpg"], id="more digits than a frame number has"),
        pytest.param(["9" * 200 + ".jpg"], id="hundreds of digits"),
    ],
)
def test_a_folder_with_other_names_is_refused_and_does_not_vanish(tmp_path: Path, names: list[str]) -> None:
    make_crops(tmp_path / "good", [1])
    (tmp_path / "odd").mkdir()
    for name in names:
        (tmp_path / "odd" / name).write_bytes(jpeg())
    assert find_crop_folders([tmp_path]) == [tmp_path / "good", tmp_path / "odd"]
    with pytest.raises(DataError) as caught:
        list_crops(tmp_path / "odd")
    assert str(caught.value).startswith(f"{tmp_path / 'odd'}: none of its {len(names)} files is named like a crop: ")
    assert names[0] in str(caught.value)


@pytest.mark.parametrize(
    ("frames", "num_frames", "is_real"),
    [
        ([1, 2, 20190523], 0, False),
        ([20190523], 0, False),
        ([1, 99_999_999], 0, False),
        ([1, 30_001], 0, True),
        ([1, 30_002], 0, False),
        ([1, 40_000], 40_000, True),
        ([1, 40_001], 40_000, False),
    ],
)
def test_a_gap_that_cannot_be_real_is_refused(
    tmp_path: Path, frames: list[int], num_frames: int, is_real: bool
) -> None:
    make_crops(tmp_path / "v", frames)
    if is_real:
        assert list_crops(tmp_path / "v", num_frames).last_frame == frames[-1]
        return
    with pytest.raises(DataError, match=rf"{frames[-1]:05d}\.jpg: [\d,]+ frames without an image before it"):
        list_crops(tmp_path / "v", num_frames)


def test_many_images_allow_a_longer_gap(tmp_path: Path) -> None:
    for frame in (*range(1, 4001), 44_000):
        (tmp_path / f"{frame:05d}.jpg").touch()
    assert list_crops(tmp_path).last_frame == 44_000


def test_what_operating_systems_leave_is_no_crop_and_empty_folders_are_listed(tmp_path: Path) -> None:
    make_crops(tmp_path / "v", [1])
    for name in ("._00001.jpg", ".DS_Store", "Thumbs.db"):
        (tmp_path / "v" / name).write_bytes(b"\0\5\x16\7")
    make_crops(tmp_path / "__MACOSX" / "w", [1])
    (tmp_path / "empty").mkdir()
    skipped: list[Path] = []
    assert find_crop_folders([tmp_path], (), skipped) == [tmp_path / "v"]
    assert skipped == [tmp_path / "empty"]
    crops = list_crops(tmp_path / "v")
    assert (list(crops.images.values()), crops.ignored) == (["00001.jpg"], ())


@pytest.mark.parametrize(
    ("names", "words"), [(["00000.jpg"], "counted from 1"), (["00001.jpg", "1.jpg"], "both frame 1")]
)
def test_wrong_numbers(tmp_path: Path, names: list[str], words: str) -> None:
    for name in names:
        (tmp_path / name).write_bytes(jpeg())
    with pytest.raises(DataError, match=words):
        list_crops(tmp_path)


def test_folders_are_found_from_any_level(tmp_path: Path) -> None:
    make_crops(tmp_path / "cropped_aligned" / "b", [1])
    make_crops(tmp_path / "cropped_aligned" / "a é", [1])
    make_crops(tmp_path / "cropped_aligned_new_50_vids" / "c", [1])
    (tmp_path / "cropped_aligned" / "empty").mkdir()
    assert [folder.name for folder in find_crop_folders([tmp_path])] == ["a é", "b", "c"]
    assert [folder.name for folder in find_crop_folders([tmp_path / "cropped_aligned"])] == ["a é", "b"]
    assert [folder.name for folder in find_crop_folders([tmp_path / "cropped_aligned" / "b"])] == ["b"]


def test_no_crops_no_folder_and_one_name_twice(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="contains no crops"):
        find_crop_folders([tmp_path])
    with pytest.raises(DataError, match="no such folder"):
        find_crop_folders([tmp_path / "none"])
    for parent in ("one", "two"):
        make_crops(tmp_path / parent / "v", [1])
    with pytest.raises(DataError, match="two folders are named 'v'"):
        find_crop_folders([tmp_path])
    assert len(find_crop_folders([tmp_path / "one", tmp_path / "one" / "v"])) == 1


def test_the_fingerprint_changes_with_files_and_length(tmp_path: Path) -> None:
    make_crops(tmp_path / "v", [1, 2])
    first = fingerprint(list_crops(tmp_path / "v"), 2)
    assert fingerprint(list_crops(tmp_path / "v"), 2) == first
    assert fingerprint(list_crops(tmp_path / "v"), 3) != first
    (tmp_path / "v" / "00002.jpg").write_bytes(jpeg() + b"\x00")
    assert fingerprint(list_crops(tmp_path / "v"), 2) != first


def test_a_full_disk_and_a_vanished_image_leave_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_crops(tmp_path / "v", [1, 2])
    crops = list_crops(tmp_path / "v")
    (tmp_path / "v" / "00002.jpg").unlink()
    out = tmp_path / "out"
    monkeypatch.setattr(module, "fingerprint", lambda crops, num_frames: "f")
    with pytest.raises(DataError, match=r"00002\.jpg: no such file"):
        import_crops(crops, out / "v.arrow")

    def full(crops: object, frame: int, report: object) -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_read", full)
    with pytest.raises(StorageError, match="disk is full"):
        import_crops(crops, out / "v.arrow")
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("images", "crop"),
    [
        ([(112, 112)], "official:112"),
        ([], "official:112"),
        ([(224, 224)], "other:224"),
        ([(90, 130), (112, 112)], "other:130"),
        ([None, (64, 64)], "other:64"),
    ],
)
def test_the_first_whole_image_says_the_kind_of_crop(
    tmp_path: Path, images: list[tuple[int, int] | None], crop: str
) -> None:
    (tmp_path / "v").mkdir()
    for frame, size in enumerate(images, 1):
        data = b"rubbish" if size is None else cv2.imencode(".jpg", np.zeros((*size, 3), np.uint8))[1].tobytes()
        (tmp_path / "v" / f"{frame:05d}.jpg").write_bytes(data)
    import_crops(list_crops(tmp_path / "v"), tmp_path / "v.arrow", 3)
    assert str(open_faces(tmp_path / "v.arrow").crop) == crop
