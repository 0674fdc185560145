"""Readers: row k is decoded frame k, whatever the header says, and bad files end in one clear message."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from abaw.core.errors import ConfigError, DataError
from abaw.video.reading.read_ahead import Stalled, ahead
from abaw.video.reading.registry import open_video
from tests.video.clips import corrupt, cut_off, noise, portrait, portraits, write_clip
from tests.video.readers import READERS_HERE, read


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "ein Gesicht, größer.mp4", portraits(60), fps=30)


@pytest.mark.parametrize("reader", READERS_HERE)
def test_frames_count_from_one_with_their_times(clip: Path, reader: str) -> None:
    frames, video = read(clip, reader)
    assert [frame.index for frame in frames] == list(range(1, 61))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(60) / 30, atol=1e-5)
    assert (video.fps, video.header_frames, video.lost_frames, video.bad_packets) == (30.0, 60, 0, 0)


@pytest.mark.parametrize("reader", READERS_HERE)
def test_pictures_are_rgb(clip: Path, reader: str) -> None:
    frames, _ = read(clip, reader)
    assert frames[0].image.dtype == np.uint8
    difference = np.abs(frames[0].image.astype(int) - portrait())
    assert difference.mean() < 6
    assert np.abs(frames[0].image[..., ::-1].astype(int) - portrait()).mean() > 15


def test_decord_says_in_one_message_that_it_cannot_go_on(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mp4", noise(80))
    with pytest.raises(DataError, match=r"decord stopped after frame \d+ of 80; .*pyav"):
        read(corrupt(whole, tmp_path / "corrupt.mp4", 0.4, 0.45), "decord")
    with pytest.raises(DataError, match=r"decord cannot open it.*pyav"):
        read(cut_off(whole, tmp_path / "cut.mp4", 0.6), "decord")


@pytest.mark.parametrize("reader", READERS_HERE)
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.mp4", b"no video at all\n" * 50, "is not a video"),
        ("text.txt", b"no video at all\n" * 50, "is not a video"),
        ("empty.mp4", b"", "the file is empty"),
        ("cut.mp4", b"\0\0\0\x18ftypisom" + b"\0" * 500, "'moov' atom"),
        ("still.jpg", cv2.imencode(".jpg", portrait())[1].tobytes(), "still image.*import-images"),
    ],
)
def test_what_is_no_video(tmp_path: Path, reader: str, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read(path, reader)
    assert str(path) in str(caught.value)


def test_a_video_of_which_nothing_decodes(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mp4", noise(5))
    start = whole.read_bytes().find(b"mdat") / whole.stat().st_size
    with pytest.raises(DataError, match="no frame could be decoded"):
        read(corrupt(whole, tmp_path / "noise.mp4", start + 0.001, 1.0))


def test_unknown_reader_and_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'decord'"):
        read(tmp_path / "a.mp4", "decrod")
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "a.mp4")


def test_leaving_early_stops_the_decoding(clip: Path) -> None:
    with open_video(clip) as video:
        assert next(iter(video)).index == 1
    frames, _ = read(clip)
    assert len(frames) == 60


def test_ahead_keeps_order_and_hands_over_errors() -> None:
    def source() -> Iterator[int]:
        yield from range(10)
        raise OSError("disk gone")

    seen = []
    with pytest.raises(OSError, match="disk gone"):
        for item in ahead(source(), depth=3):
            seen.append(item)
    assert seen == list(range(10))


def test_ahead_works_at_most_depth_items_ahead() -> None:
    made = count()
    items = ahead(iter(lambda: next(made), None), depth=2)
    assert next(items) == 0
    time.sleep(0.3)
    assert next(made) <= 5
    items.close()


def test_ahead_does_not_wait_for_ever() -> None:
    def stuck() -> Iterator[int]:
        yield 1
        time.sleep(3)

    items = ahead(stuck(), depth=1, timeout_s=0.2)
    assert next(items) == 1
    with pytest.raises(Stalled):
        next(items)


def test_metadata_in_another_encoding_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "latin.mkv"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "Gesicht, groesser"
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 96, "yuv420p"
        for picture in portraits(3, 96):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    content = path.read_bytes()
    assert b"groesser" in content
    path.write_bytes(content.replace(b"groesser", "größer  ".encode("latin-1")))
    frames, _ = read(path)
    assert len(frames) == 3
