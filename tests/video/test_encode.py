"""Videos written by the project: every frame, every time, and what a browser needs of a file."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from abaw.video.encode import H264Writer, VideoTime
from abaw.video.playable import playable_mime, write_playable
from abaw.video.reading.registry import open_video
from tests.video.clips import noise, write_clip
from tests.video.numbered import number_of, numbered_picture, write_numbered


def read(path: Path) -> list[tuple[int, float]]:
    with open_video(path) as video:
        return [(number_of(frame.image), frame.time_s) for frame in video if frame.image is not None]


def test_uneven_times_are_kept(tmp_path: Path) -> None:
    times = [2.0, 2.04, 2.3, 2.301, 4.0]
    with H264Writer(tmp_path / "out.mp4", 25) as writer:
        for index, time_s in enumerate(times):
            writer.add(numbered_picture(index + 1), time_s)
    found = read(tmp_path / "out.mp4")
    assert [number for number, _ in found] == [1, 2, 3, 4, 5]
    np.testing.assert_allclose([time_s for _, time_s in found], np.array(times) - 2, atol=2e-4)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0.0, 0.04, 0.08, 0.0, 0.04, 0.08], [0.0, 0.04, 0.08, 0.12, 0.16, 0.2]),
        ([5.0, 5.04, 9.0, 7.0, 7.04], [0.0, 0.04, 4.0, 4.04, 4.08]),
        ([0.0, 0.4, 0.3, 0.8], [0.0, 0.4, 0.4, 0.8]),  # one late frame shifts nothing after it
    ],
)
def test_where_times_begin_again_those_of_the_file_go_on(
    times: list[float], expected: list[float], tmp_path: Path
) -> None:
    with H264Writer(tmp_path / "out.mp4", 25) as writer:
        for index, time_s in enumerate(times):
            writer.add(numbered_picture(index + 1), time_s)
    found = read(tmp_path / "out.mp4")
    assert [number for number, _ in found] == list(range(1, len(times) + 1))
    np.testing.assert_allclose([time_s for _, time_s in found], expected, atol=2e-4)


@pytest.mark.parametrize(
    ("stamps_s", "times"),
    [
        ([], []),
        ([3.0], [0.0]),
        ([1.4, 1.44, 1.44, 2.5], [0.0, 0.04, 0.04, 1.1]),
        ([1.4, 1.5, 1.4, 1.5, 1.4], [0.0, 0.1, 0.14, 0.24, 0.28]),
        ([0.0, 1.0, 2.0, 0.5, 1.5], [0.0, 1.0, 2.0, 2.04, 3.04]),
        ([0.0, 0.1, 0.3, 0.2, 0.4], [0.0, 0.1, 0.3, 0.3, 0.4]),
    ],
    ids=["empty", "single", "in order", "again twice", "again later", "one late frame"],
)
def test_video_time_goes_on_where_stamps_begin_again(stamps_s: list[float], times: list[float]) -> None:
    time = VideoTime(25)
    assert [time.push(stamp_s) for stamp_s in stamps_s] == pytest.approx(times)


def test_frames_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    with H264Writer(tmp_path / "out.mp4", 25) as writer:
        for index in range(4):
            writer.add(numbered_picture(index + 1), 0.0)
    assert [number for number, _ in read(tmp_path / "out.mp4")] == [1, 2, 3, 4]


def test_odd_sides_and_changing_sizes(tmp_path: Path) -> None:
    with H264Writer(tmp_path / "out.mp4", 25) as writer:
        writer.add(np.full((33, 47, 3), 200, np.uint8), 0.0)
        writer.add(np.full((70, 90, 3), 200, np.uint8), 0.04)
    with open_video(tmp_path / "out.mp4") as video:
        shapes = {frame.image.shape for frame in video if frame.image is not None}
    assert shapes == {(34, 48, 3)}


def test_the_index_comes_first_so_that_playing_starts_at_once(tmp_path: Path) -> None:
    with H264Writer(tmp_path / "out.mp4", 25) as writer:
        for index in range(30):
            writer.add(numbered_picture(index + 1), index / 25)
    content = (tmp_path / "out.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    with av.open(str(tmp_path / "out.mp4")) as container:
        packets = [packet for packet in container.demux(video=0) if packet.pts is not None]
    assert sum(packet.is_keyframe for packet in packets) >= 2
    assert [packet.pts for packet in packets] == sorted(packet.pts for packet in packets)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "mime"),
    [
        ("clip.mp4", "libx264", "yuv420p", "video/mp4"),
        ("clip.mov", "libx264", "yuv420p", "video/mp4"),
        ("clip.webm", "libvpx-vp9", "yuv420p", "video/webm"),
        ("clip.mp4", "libx264", "yuv444p", None),
        ("clip.mp4", "mpeg4", "yuv420p", None),
        ("clip.avi", "mpeg4", "yuv420p", None),
        ("clip.mkv", "libx264", "yuv420p", None),
    ],
)
def test_what_browsers_play(tmp_path: Path, name: str, codec: str, pix_fmt: str, mime: str | None) -> None:
    assert playable_mime(write_numbered(tmp_path / name, 3, codec, pix_fmt=pix_fmt)) == mime


def test_a_copy_that_plays_has_the_same_frames(tmp_path: Path) -> None:
    source = write_numbered(tmp_path / "clip.avi", 20, "mpeg4", options={"qscale": "2"})
    write_playable(source, tmp_path / "copy.mp4", "pyav")
    assert playable_mime(tmp_path / "copy.mp4") == "video/mp4"
    assert [number for number, _ in read(tmp_path / "copy.mp4")] == list(range(1, 21))


def test_a_large_picture_becomes_smaller_in_the_copy(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "wide.mp4", [np.full((100, 2000, 3), 90, np.uint8)] * 2)
    write_playable(source, tmp_path / "copy.mp4", "pyav")
    with open_video(tmp_path / "copy.mp4") as video:
        assert {frame.image.shape for frame in video if frame.image is not None} == {(64, 1280, 3)}


def test_nothing_is_left_when_writing_breaks_off(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "clip.mp4", noise(6))

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_playable(source, tmp_path / "copy.mp4", "pyav", stop)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]
