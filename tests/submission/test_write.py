from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from abaw.core import artifacts
from abaw.core.artifacts import StorageError
from abaw.core.errors import DataError
from abaw.protocol.editions import edition
from abaw.protocol.template import Template
from abaw.submission.write import write_submission

SIXTH = edition("abaw6")


def template(*locations: str) -> Template:
    return Template(Path("template.txt"), SIXTH.header, list(locations))


def labels(**videos: list[int]) -> dict[str, NDArray[np.int8]]:
    return {name: np.array(values, np.int8) for name, values in videos.items()}


def test_every_row_comes_back_in_the_template_order(tmp_path: Path) -> None:
    path = tmp_path / "predictions.txt"
    rows = template("b é/00002.jpg", "a/00001.jpg", "b é/00001.jpg")
    written = write_submission(path, rows, SIXTH, labels(a=[7], **{"b é": [3, 4]}, unused=[1]))
    expected = f"{SIXTH.header}\nb é/00002.jpg,4\na/00001.jpg,7\nb é/00001.jpg,3\n"
    assert path.read_bytes() == expected.encode()
    assert (written.num_rows, written.num_videos, written.extended) == (3, 2, {})


def test_rows_behind_the_last_frame_repeat_the_last_class_and_are_told(tmp_path: Path) -> None:
    rows = template(*(f"a/{frame:05d}.jpg" for frame in range(1, 6)), "b/00001.jpg")
    written = write_submission(tmp_path / "s.txt", rows, SIXTH, labels(a=[1, 2, 3], b=[5, 6, 7]))
    values = [line.rpartition(",")[2] for line in (tmp_path / "s.txt").read_text().splitlines()[1:]]
    assert values == ["1", "2", "3", "3", "3", "5"]
    assert written.extended == {"a": 2}


def test_videos_without_predictions_are_all_named_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_text("older")
    rows = template("a/00001.jpg", "b/00001.jpg", "c/00001.jpg", "b/00002.jpg", "d/00001.jpg")
    with pytest.raises(DataError, match=r"no predictions for 3 of its 4 videos: b, c, d;"):
        write_submission(path, rows, SIXTH, labels(a=[0], d=[]))
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("label", [-1, 8])
def test_what_is_no_class_is_not_written(tmp_path: Path, label: int) -> None:
    with pytest.raises(DataError, match=r"a: labels must lie in 0\.\.7"):
        write_submission(tmp_path / "s.txt", template("a/00001.jpg"), SIXTH, labels(a=[0, label]))
    assert list(tmp_path.iterdir()) == []


def test_a_frame_zero_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a/00000\.jpg"):
        write_submission(tmp_path / "s.txt", template("a/00001.jpg", "a/00000.jpg"), SIXTH, labels(a=[0]))
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(StorageError, match="out"):
        write_submission(tmp_path / "out" / "s.txt", template("a/00001.jpg"), SIXTH, labels(a=[0]))


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(artifacts.os, "fsync", full)
    with pytest.raises(StorageError, match=r"s\.txt: cannot write: the disk is full"):
        write_submission(tmp_path / "s.txt", template("a/00001.jpg"), SIXTH, labels(a=[0]))
    assert list(tmp_path.iterdir()) == []
