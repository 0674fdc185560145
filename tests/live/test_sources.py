"""Sources of live pictures: a file at its own speed, a stream over HTTP, and what cannot be opened."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from abaw.core.errors import DataError
from abaw.live.sources import Camera, File, SourceLost, Stream, parse_source
from tests.video.clips import noise, portraits, write_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("live") / "clip.mp4", portraits(12), fps=25)


@pytest.fixture
def web(clip: Path) -> Iterator[str]:
    """The address of a local server of the clip's folder."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=clip.parent))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_what_a_text_names(tmp_path: Path) -> None:
    assert parse_source("1") == Camera(1)
    assert parse_source("rtsp://host/live") == Stream("rtsp://host/live")
    assert parse_source("-") == Stream("-") and not Stream("-").returns
    assert parse_source("a/clip.mp4") == File(Path("a/clip.mp4"))
    assert parse_source("clip.mp4", False) == File(Path("clip.mp4"), in_real_time=False)


def read_in_time(path: Path) -> tuple[list[float], list[float], list[float]]:
    """When the pictures of a file were due, their times, and how long was slept, by a clock that begins at 100."""
    now, slept = 100.0, []

    def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    def clock() -> float:
        return now

    dues, times = [], []
    for one in File(path).paced(clock, sleep):
        assert one.time_s is not None
        dues.append(one.due)
        times.append(one.time_s)
        now += 0.01  # work
    return dues, times, slept


def test_a_file_keeps_its_own_time(clip: Path) -> None:
    dues, times, slept = read_in_time(clip)
    np.testing.assert_allclose(times, np.arange(12) / 25, atol=1e-6)
    np.testing.assert_allclose(np.subtract(dues, 100), times, atol=1e-6)
    np.testing.assert_allclose(slept, 0.03, atol=1e-6)


def test_joined_recordings_go_on_at_their_pace(tmp_path: Path) -> None:
    recording = write_clip(tmp_path / "one.ts", portraits(20), fps=25).read_bytes()
    joined = tmp_path / "joined.ts"
    joined.write_bytes(recording * 2)
    dues, times, slept = read_in_time(joined)
    np.testing.assert_allclose(times, np.arange(40) / 25, atol=1e-6)
    np.testing.assert_allclose(np.subtract(dues, 100), times, atol=1e-6)
    np.testing.assert_allclose(slept, [0.03] * 39, atol=1e-6)


def test_read_as_fast_as_possible_a_file_has_the_same_times(clip: Path) -> None:
    times = [one.time_s for one in File(clip, in_real_time=False).pictures()]
    np.testing.assert_allclose(np.array(times, np.float64), np.arange(12) / 25, atol=1e-6)


def test_a_slow_reader_gets_pictures_at_once_with_their_own_times(clip: Path) -> None:
    now = 0.0

    def clock() -> float:
        return now

    dues = []
    for one in File(clip).paced(clock, lambda seconds: pytest.fail("was not early")):
        dues.append(one.due)
        now += 1.0
    np.testing.assert_allclose(np.diff(dues), 0.04, atol=1e-6)


def test_a_stream_has_the_pictures_of_the_file_and_then_is_lost(clip: Path, web: str) -> None:
    expected = [one.image for one in File(clip, in_real_time=False).pictures()]
    found = []
    with pytest.raises(SourceLost, match="ended"):
        for one in Stream(f"{web}/clip.mp4").pictures():
            found.append(one.image)
    np.testing.assert_array_equal(np.stack(found), np.stack(expected))


def test_sources_that_cannot_be_opened(tmp_path: Path, web: str) -> None:
    with pytest.raises(DataError, match="camera 73: cannot be opened"):
        next(iter(Camera(73).pictures()))
    with pytest.raises(DataError, match="nothing.mp4: is not video that FFmpeg can read"):
        next(iter(Stream(f"{web}/nothing.mp4").pictures()))
    with pytest.raises(DataError, match="no such file"):
        next(iter(File(tmp_path / "nothing.mp4").pictures()))


def test_noise_is_read_too(tmp_path: Path) -> None:
    pictures = list(File(write_clip(tmp_path / "noise.mp4", noise(3)), in_real_time=False).pictures())
    assert len(pictures) == 3 and pictures[0].image.shape == (96, 96, 3)
