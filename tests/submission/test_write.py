from __future__ import annotations

import errno
from pathlib import Path

import pytest

from abaw.core import artifacts
from abaw.core.artifacts import StorageError
from abaw.core.errors import DataError
from abaw.protocol.editions import edition
from abaw.protocol.template import Template, VideoList
from abaw.submission.write import write_folder, write_submission

SIXTH = edition("abaw6")


def template(*locations: str) -> Template:
    return Template(Path("template.txt"), SIXTH.header, list(locations))


def digits(**videos: list[int]) -> dict[str, list[str]]:
    return {name: list(map(str, values)) for name, values in videos.items()}


def test_every_row_is_written_in_the_order_of_the_template(tmp_path: Path) -> None:
    path = tmp_path / "predictions.txt"
    rows = template("b é/00002.jpg", "a/00001.jpg", "b é/00001.jpg")
    written = write_submission(path, rows, SIXTH, digits(a=[7], **{"b é": [3, 4]}, unused=[1]))
    expected = f"{SIXTH.header}\nb é/00002.jpg,4\na/00001.jpg,7\nb é/00001.jpg,3\n"
    assert path.read_bytes() == expected.encode()
    assert (written.num_rows, written.num_videos, written.extended) == (3, 2, {})


def test_rows_after_the_last_frame_repeat_the_last_class_and_are_reported(tmp_path: Path) -> None:
    rows = template(*(f"a/{frame:05d}.jpg" for frame in range(1, 6)), "b/00001.jpg")
    written = write_submission(tmp_path / "s.txt", rows, SIXTH, digits(a=[1, 2, 3], b=[5, 6, 7]))
    values = [line.rpartition(",")[2] for line in (tmp_path / "s.txt").read_text().splitlines()[1:]]
    assert values == ["1", "2", "3", "3", "3", "5"]
    assert written.extended == {"a": 2}


def test_videos_without_predictions_are_all_named_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_text("older")
    rows = template("a/00001.jpg", "b/00001.jpg", "c/00001.jpg", "b/00002.jpg", "d/00001.jpg")
    with pytest.raises(DataError, match=r"no predictions for 3 of its 4 videos: b, c, d;"):
        write_submission(path, rows, SIXTH, digits(a=[0], d=[]))
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_frame_zero_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a/00000\.jpg"):
        write_submission(tmp_path / "s.txt", template("a/00001.jpg", "a/00000.jpg"), SIXTH, digits(a=[0]))
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(StorageError, match="out"):
        write_submission(tmp_path / "out" / "s.txt", template("a/00001.jpg"), SIXTH, digits(a=[0]))


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(artifacts.os, "fsync", full)
    with pytest.raises(StorageError, match=r"s\.txt: cannot write: the disk is full"):
        write_submission(tmp_path / "s.txt", template("a/00001.jpg"), SIXTH, digits(a=[0]))
    assert list(tmp_path.iterdir()) == []


THIRD = edition("abaw3")


def videos(**num_frames: int | None) -> VideoList:
    return VideoList(Path("list.txt"), num_frames)


def test_a_folder_with_one_file_per_video(tmp_path: Path) -> None:
    out = tmp_path / "out" / "s"
    written = write_folder(
        out, videos(**{"b é": 2, "a": 4, "c": None}), THIRD, digits(a=[1, 2], c=[5, 6, 7], **{"b é": [3, 4, 5]})
    )
    assert {file.name: file.read_bytes().decode() for file in out.iterdir()} == {
        "b é.txt": f"{THIRD.header}\n3\n4\n",
        "a.txt": f"{THIRD.header}\n1\n2\n2\n2\n",
        "c.txt": f"{THIRD.header}\n5\n6\n7\n",
    }
    assert (written.num_rows, written.num_videos, written.extended) == (9, 3, {"a": 2})
    assert list(out.parent.iterdir()) == [out]


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    write_folder(tmp_path / "s", videos(a=1), THIRD, digits(a=[1]))
    with pytest.raises(DataError, match="already contains files"):
        write_folder(tmp_path / "s", videos(a=1), THIRD, digits(a=[2]))
    assert (tmp_path / "s" / "a.txt").read_text().endswith("1\n")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        write_folder(tmp_path / "file", videos(a=1), THIRD, digits(a=[2]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "s"]


def test_a_folder_is_complete_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"no predictions for 1 of its 2 videos: b;"):
        write_folder(tmp_path / "s", videos(a=1, b=1), THIRD, digits(a=[1]))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(artifacts.os, "fsync", full)
    with pytest.raises(StorageError, match="the disk is full"):
        write_folder(tmp_path / "s", videos(a=1), THIRD, digits(a=[1]))
    assert list(tmp_path.iterdir()) == []
