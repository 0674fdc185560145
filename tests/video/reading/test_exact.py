"""Row k is frame k: each decoded frame is identified by a number drawn into it, and readers agree on real clips."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from abaw.core.errors import DataError
from abaw.video.reading.registry import open_video
from tests.video.clips import rotate_metadata
from tests.video.numbered import FPS, number_of, shift_before_start, write_numbered
from tests.video.readers import OTHERS_HERE, READERS_HERE, picture, read

COUNT = 50
STEPS_MS = (40, 20, 100, 33)
VARIABLE_MS = [sum(STEPS_MS[k % 4] for k in range(index)) for index in range(COUNT)]
REORDERED = {"bf": "3", "g": "12", "x264-params": "b-pyramid=normal:open-gop=1"}
KINDS = {
    "B-frames.mp4": ("libx264", None, REORDERED),
    "no B-frames.mp4": ("libx264", None, {"bf": "0"}),
    "variable rate.mp4": ("libx264", VARIABLE_MS, REORDERED),
    "variable rate.mkv": ("libx264", VARIABLE_MS, {}),
    "hevc.mp4": ("libx265", None, {"x265-params": "log-level=error:keyint=12"}),
    "invisible frames.webm": ("libvpx", None, {"auto-alt-ref": "1", "lag-in-frames": "16"}),
    "flash.flv": ("libx264", None, {}),
}
WITHOUT_INDEX = {"old.avi": "mpeg4", "new.avi": "libx264", "broadcast.ts": "libx264", "programme.mpg": "mpeg2video"}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("numbered")
    for name, (codec, times_ms, options) in KINDS.items():
        write_numbered(folder / name, COUNT, codec, times_ms, options)
    for name, codec in WITHOUT_INDEX.items():
        write_numbered(folder / name, COUNT, codec)
    return folder


@pytest.mark.parametrize("reader", READERS_HERE)
@pytest.mark.parametrize("name", KINDS)
def test_row_k_is_frame_k(clips: Path, name: str, reader: str) -> None:
    frames, video = read(clips / name, reader)
    assert [frame.index for frame in frames] == list(range(1, COUNT + 1))
    assert [number_of(picture(frame)) for frame in frames] == list(range(1, COUNT + 1))
    times = np.array([frame.time_s for frame in frames])
    wanted = np.array(VARIABLE_MS) / 1000 if KINDS[name][1] else np.arange(COUNT) / FPS
    np.testing.assert_allclose(times - times[0], wanted, atol=1.1e-3)
    assert (video.lost_frames, video.bad_packets, video.missing_frames) == (0, 0, 0)


@pytest.mark.parametrize("name", WITHOUT_INDEX)
def test_files_without_an_index_of_times(clips: Path, name: str) -> None:
    frames, _ = read(clips / name)
    assert [number_of(picture(frame)) for frame in frames] == list(range(1, COUNT + 1))
    times = [frame.time_s for frame in frames]
    np.testing.assert_allclose(np.diff(times), 1 / FPS, atol=1e-5)
    with pytest.raises(DataError, match="decord does not return every frame of this format .*pyav"):
        read(clips / name, "decord")


@pytest.mark.parametrize("other", OTHERS_HERE)
@pytest.mark.parametrize(
    ("pix_fmt", "colorspace", "most"),
    [("yuv420p", 1, 0), ("yuv420p", 9, 0), ("yuvj420p", 1, 0), ("yuv422p", None, 0), ("yuv420p10le", None, 2)],
    ids=["BT.709", "BT.2020", "full range", "4:2:2", "10 bits"],
)
def test_the_readers_agree_on_colours(
    tmp_path: Path, other: str, pix_fmt: str, colorspace: int | None, most: float
) -> None:
    path = write_numbered(tmp_path / "clip.mp4", 8, pix_fmt=pix_fmt, colorspace=colorspace)
    for one, same in zip(read(path)[0], read(path, other)[0], strict=True):
        assert np.abs(picture(one).astype(int) - picture(same)).mean() <= most


@pytest.mark.parametrize("reader", READERS_HERE)
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_of_the_container_is_applied(clips: Path, tmp_path: Path, reader: str, degrees: int) -> None:
    plain, _ = read(clips / "B-frames.mp4")
    frames, _ = read(rotate_metadata(clips / "B-frames.mp4", tmp_path / "phone.mp4", degrees), reader)
    assert len(frames) == COUNT
    for frame, upright in zip(frames, plain, strict=True):
        turned = np.rot90(picture(upright), -degrees // 90)
        assert np.abs(picture(frame).astype(int) - turned).mean() < 2


@pytest.mark.parametrize("reader", READERS_HERE)
def test_frames_that_an_edit_list_hides_have_no_row(clips: Path, tmp_path: Path, reader: str) -> None:
    edited = shift_before_start(clips / "B-frames.mp4", tmp_path / "edited.mp4", 5)
    frames, video = read(edited, reader)
    assert [number_of(picture(frame)) for frame in frames] == list(range(6, COUNT + 1))
    assert (video.header_frames, video.hidden_frames, video.lost_frames) == (COUNT, 5, 0)
    assert frames[0].time_s == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("reader", READERS_HERE)
def test_a_real_clip_with_an_edit_list(shared_data: Path, reader: str) -> None:
    frames, video = read(shared_data / "videos" / "no_face.mp4", reader)
    assert (len(frames), video.header_frames, video.hidden_frames, video.lost_frames) == (95, 98, 3, 0)


def test_a_wrong_header_only_changes_what_is_reported(clips: Path, tmp_path: Path) -> None:
    content = bytearray((clips / "old.avi").read_bytes())
    length = content.index(b"strh") + 8 + 32
    assert int.from_bytes(content[length : length + 4], "little") == COUNT
    content[length : length + 4] = (98).to_bytes(4, "little")
    (tmp_path / "wrong.avi").write_bytes(content)
    frames, video = read(tmp_path / "wrong.avi")
    assert [number_of(picture(frame)) for frame in frames] == list(range(1, COUNT + 1))
    assert (video.header_frames, video.lost_frames) == (98, 98 - COUNT)


@pytest.mark.slow
@pytest.mark.parametrize("other", OTHERS_HERE)
def test_the_readers_agree_on_every_frame_of_the_real_clips(shared_data: Path, other: str) -> None:
    paths = sorted((shared_data / "videos").glob("*.mp4"))
    assert len(paths) >= 14
    for path in paths:
        with open_video(path) as first, open_video(path, other) as second:
            for one, same in zip(first, second, strict=True):
                assert one.index == same.index
                assert one.time_s == pytest.approx(same.time_s, abs=1e-5)
                assert cv2.absdiff(picture(one), picture(same)).mean() < 2, (path.name, one.index)
