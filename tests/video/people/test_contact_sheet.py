"""Contact sheets show every track's box and number, and whom the store shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from abaw.stores.arrow import StoreError
from abaw.stores.faces import write_video_faces
from abaw.video.people.contact_sheet import COLOURS, by_doubt, read_review, write_sheet
from tests.video.clips import write_clip

GREY = 90
META: dict[str, Any] = {
    "video": "clip",
    "subject": "clip",
    "choice": "main",
    "tracks": [2],
    "margin": 0.25,
    "runner_up": [1],
    "faces": 20,
    "num_frames": 20,
    "people": [{"tracks": [2]}, {"tracks": [1]}],
    "options": {"reader": "pyav"},
    "samples": [{"frame": k, "faces": [[1, 20, 20, 60, 60], [2, 100, 20, 140, 60]]} for k in range(1, 21)],
}


def store(path: Path, **changes: Any) -> Path:
    write_video_faces(path, [], META | changes)
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """160×90: a tile is three times as large."""
    return write_clip(tmp_path / "clip.mp4", [np.full((90, 160, 3), GREY, np.uint8)] * 20)


def sheet(folder: Path, clip: Path, **changes: Any) -> np.ndarray:
    write_sheet(folder / "sheet.png", clip, [read_review(store(folder / "clip.arrow", **changes))], [])
    return np.asarray(Image.open(folder / "sheet.png"))


def test_twelve_frames_below_a_heading(tmp_path: Path, clip: Path) -> None:
    picture = sheet(tmp_path, clip)
    height, width = picture.shape[:2]
    assert (height - 68, width) == (3 * 270, 4 * 480)
    head, body = picture[:68], picture[68:]
    assert (head.max(), head.min()) == (255, 0), "black on white"
    for row in range(3):
        for column in range(4):
            tile = body[270 * row : 270 * (row + 1), 480 * column : 480 * (column + 1)]
            assert abs(int(np.median(tile)) - GREY) < 6
            np.testing.assert_array_equal(tile[60:180, 301], [COLOURS[0]] * 120, "left edge of the chosen box")
            np.testing.assert_array_equal(tile[100, 297:300], [[255] * 3] * 3, "with a white border")
            np.testing.assert_array_equal(tile[60:180, 60], [COLOURS[1]] * 120, "left edge of the other")
            assert abs(int(tile[100, 57, 0]) - GREY) < 6, "without one"
            assert (tile[184:204, 60:80] == COLOURS[1]).all(axis=2).any(), "plate of its number"


def test_numbers_are_distinguished(tmp_path: Path, clip: Path) -> None:
    one = sheet(tmp_path, clip)
    other = sheet(tmp_path, clip, samples=[{**sample, "faces": [[7, 20, 20, 60, 60]]} for sample in META["samples"]])
    assert (one != other).any()


def test_a_few_frames_upright_and_no_face(tmp_path: Path) -> None:
    upright = write_clip(tmp_path / "up.mp4", [np.full((160, 90, 3), GREY, np.uint8)] * 3)
    changes = {"tracks": [], "margin": None, "runner_up": [], "people": [], "num_frames": 3, "faces": 0}
    picture = sheet(tmp_path, upright, samples=[{"frame": k, "faces": []} for k in (1, 2, 3)], **changes)
    assert picture.shape == (68 + 480, 4 * 480, 3)


def test_what_a_store_says(tmp_path: Path) -> None:
    one = read_review(store(tmp_path / "a.arrow"))
    assert one.line == "clip (main): track 2, 20 of 20 frames, margin 0.25 over track 1"
    alone = read_review(store(tmp_path / "b.arrow", margin=1.0, runner_up=[], tracks=[2, 5]))
    assert alone.line == "clip (main): track 2, 5, 20 of 20 frames"
    with pytest.raises(StoreError, match="gone.arrow: no such store"):
        read_review(tmp_path / "gone.arrow")
    write_video_faces(tmp_path / "old.arrow", [], {key: META[key] for key in META if key != "samples"})
    with pytest.raises(StoreError, match="does not list its tracks; remove it and extract"):
        read_review(tmp_path / "old.arrow")


def test_most_doubtful_first(tmp_path: Path) -> None:
    margins = {"a": 0.9, "b": None, "c": 0.0, "d": 0.3}
    reviews = [read_review(store(tmp_path / f"{name}.arrow", subject=name, margin=m)) for name, m in margins.items()]
    assert [one.subject for one in by_doubt(reviews)] == ["c", "d", "a", "b"]
