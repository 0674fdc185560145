"""The annotated video: all frames, each with its own results, at its own time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from abaw.core.errors import DataError
from abaw.page.palette import CLASS_COLOURS, rgb
from abaw.video.reading.registry import open_video
from abaw.viewer.render import draw_frame, render_video
from tests.video.beeps import beep_of, codec_of, heard, write_with_sound
from tests.video.numbered import HEIGHT, WIDTH, number_of, numbered_picture, write_numbered
from tests.viewer.people import person

BOX = (30.0, 60.0, 70.0, 90.0)
"""Below the bars that encode the frame number."""
SIZE = 9
"""Height in pixels of a panel row for a picture this small."""
EMPTY = (38, 47, 56)


def class_shown(image: np.ndarray) -> int:
    """The class with the longest bar."""
    bars = image[SIZE // 2 :, WIDTH + 5 * SIZE : WIDTH + 8 * SIZE][: 8 * SIZE].astype(np.float32)
    filled = np.linalg.norm(bars - EMPTY, axis=2) > 50
    return int(filled.reshape(8, SIZE, -1)[:, 3:-3].sum(axis=(1, 2)).argmax())


def test_no_frame_is_lost_or_gets_the_results_of_another(tmp_path: Path) -> None:
    labels = [index % 8 for index in range(40)]
    times_ms = [index * 40 + 90 * (index > 20) for index in range(40)]
    source = write_numbered(tmp_path / "clip.mp4", 40, times_ms=times_ms)
    target = tmp_path / "out.mp4"
    render_video(source, target, [person(tmp_path, labels, box=BOX)], (WIDTH, HEIGHT), "pyav")
    with open_video(target) as video:
        frames = list(video)
    assert [number_of(frame.image[:, :WIDTH]) for frame in frames if frame.image is not None] == list(range(1, 41))
    assert [class_shown(frame.image) for frame in frames if frame.image is not None] == labels
    np.testing.assert_allclose([frame.time_s for frame in frames], np.array(times_ms) / 1000, atol=1e-3)


def test_the_sound_is_kept(tmp_path: Path) -> None:
    source = write_with_sound(tmp_path / "clip.mkv", 50, 1.2, codec="ac3", first_frame_s=0.2, end_s=2.2)
    render_video(source, tmp_path / "out.mp4", [person(tmp_path, [0] * 50, box=BOX)], (WIDTH, HEIGHT), "pyav")
    assert codec_of(tmp_path / "out.mp4") == ["aac"]
    begin_s, pitch = beep_of(tmp_path / "out.mp4")
    assert begin_s == pytest.approx(1.0, abs=0.04) and pitch == pytest.approx(1000, rel=0.05)
    assert heard(tmp_path / "out.mp4")[1][-1] == pytest.approx(2.0, abs=0.08)


def test_boxes_are_drawn_where_the_face_is_and_in_the_colour_of_its_class(tmp_path: Path) -> None:
    picture = numbered_picture(1)
    one = person(tmp_path, [4, None], box=BOX)
    drawn = draw_frame(picture, [one], 0)
    np.testing.assert_allclose(drawn[75, 30], rgb(CLASS_COLOURS["Happiness"]), atol=25)
    assert drawn.shape[0] == HEIGHT and drawn.shape[1] > WIDTH
    empty = draw_frame(picture, [one], 1)
    np.testing.assert_array_equal(empty[:, :WIDTH], picture)


def test_every_person_is_drawn(tmp_path: Path) -> None:
    picture = np.zeros((300, 400, 3), np.uint8)
    people = [
        person(tmp_path, [4], name="a", box=(10, 40, 60, 90)),
        person(tmp_path, [5], name="b", box=(200, 40, 260, 90)),
    ]
    drawn = draw_frame(picture, people, 0)
    np.testing.assert_array_equal(drawn[70, 10], rgb(CLASS_COLOURS["Happiness"]))
    np.testing.assert_array_equal(drawn[70, 200], rgb(CLASS_COLOURS["Sadness"]))


def test_a_video_that_changed_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    source = write_numbered(tmp_path / "clip.mp4", 10)
    for count in (9, 11):
        with pytest.raises(DataError, match="but its results have"):
            target = tmp_path / "out.mp4"
            render_video(source, target, [person(tmp_path, [0] * count, name=f"p{count}")], (WIDTH, HEIGHT), "pyav")
        assert not target.exists() and not list(tmp_path.glob("*.tmp*"))


def test_a_still_image_becomes_a_png(tmp_path: Path) -> None:
    Image.fromarray(numbered_picture(5)).save(tmp_path / "photo.png")
    render_video(
        tmp_path / "photo.png", tmp_path / "out.png", [person(tmp_path, [4], box=BOX)], (WIDTH, HEIGHT), "still"
    )
    with Image.open(tmp_path / "out.png") as image:
        assert image.height == HEIGHT and image.width > WIDTH
