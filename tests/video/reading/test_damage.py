"""Damage in a stream: the frames that it takes have rows without a picture, and all others keep their rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from abaw.video.reading.frames import VideoFrame
from abaw.video.reading.lost_frames import NO_PACKET, NO_REFERENCE, UNDECODABLE
from tests.video.clips import corrupt, cut_off, noise, write_clip
from tests.video.damage import PacketPlace, drop_blocks, flip, packet_places
from tests.video.numbered import FPS, write_numbered
from tests.video.readers import picture, read

COUNT = 60
REORDERED = {"bf": "3", "g": "12"}
STEPS_MS = (40, 20, 100, 33)
VARIABLE_MS = [sum(STEPS_MS[k % 4] for k in range(index)) for index in range(COUNT)]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    write_numbered(folder / "h264.mp4", COUNT, options=REORDERED)
    write_numbered(folder / "variable.mp4", COUNT, times_ms=VARIABLE_MS, options=REORDERED)
    write_numbered(folder / "hevc.mp4", COUNT, "libx265", options={"x265-params": "log-level=error:keyint=12"})
    write_numbered(folder / "h264.avi", COUNT, options={"bf": "0", "g": "12"})
    write_numbered(folder / "h264.ts", COUNT, options={"g": "12"})
    return folder


def faults(frames: list[VideoFrame]) -> dict[int, str]:
    assert all((frame.image is None) == bool(frame.fault) for frame in frames)
    return {frame.index: frame.fault for frame in frames if frame.fault}


def last_of_its_kind(places: list[PacketPlace]) -> PacketPlace:
    """A packet that no other frame is made from: the smallest one in the middle of the file."""
    return min(places[24:36], key=lambda place: place.size)


@pytest.mark.parametrize("name", ["h264.mp4", "variable.mp4", "hevc.mp4"])
def test_a_packet_that_is_refused_costs_its_own_frame(clips: Path, tmp_path: Path, name: str) -> None:
    whole, _ = read(clips / name)
    place = last_of_its_kind(packet_places(clips / name))
    frames, video = read(flip(clips / name, tmp_path / name, [place], at=0, length=4))
    assert faults(frames) == {place.frame: UNDECODABLE}
    assert [frame.time_s for frame in frames] == [frame.time_s for frame in whole]
    assert (video.bad_packets, video.missing_frames, video.lost_frames) == (1, 1, 0)
    for frame, intact in zip(frames[place.frame :], whole[place.frame :], strict=True):
        np.testing.assert_array_equal(picture(frame), picture(intact))


@pytest.mark.parametrize("name", ["h264.mp4", "variable.mp4", "hevc.mp4"])
@pytest.mark.parametrize("which", [0, 2])
def test_a_key_frame_that_is_refused_costs_what_depends_on_it(
    clips: Path, tmp_path: Path, name: str, which: int
) -> None:
    whole, _ = read(clips / name)
    keys = [place for place in packet_places(clips / name) if place.is_key]
    frames, video = read(flip(clips / name, tmp_path / name, [keys[which]], at=0, length=4))
    # The decoder may return a picture around the damage late; it stays in the decoder's order, and has one row.
    assert sorted(frame.time_s for frame in frames) == [frame.time_s for frame in whole]
    assert video.backward_times <= 1
    found = faults(frames)
    refused = next(frame for frame in frames if frame.time_s == whole[keys[which].frame - 1].time_s)
    assert found.pop(refused.index) == UNDECODABLE
    assert set(found.values()) <= {NO_REFERENCE}
    assert video.missing_frames == len(found) + 1 <= 14
    for frame, intact in zip(frames[keys[which + 1].frame - 1 :], whole[keys[which + 1].frame - 1 :], strict=True):
        np.testing.assert_array_equal(picture(frame), picture(intact))


def test_long_damage_keeps_the_rows_after_it(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mp4", noise(80))
    frames, video = read(corrupt(whole, tmp_path / "corrupt.mp4", 0.4, 0.45))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(80) / 25, atol=1e-5)
    assert video.bad_packets > 0
    assert (video.missing_frames, video.lost_frames) == (len(faults(frames)), 0)


def test_an_avi_has_a_row_where_the_packet_was(clips: Path, tmp_path: Path) -> None:
    place = packet_places(clips / "h264.avi")[30]
    frames, _ = read(flip(clips / "h264.avi", tmp_path / "x.avi", [place], at=0, length=4))
    assert len(frames) == COUNT
    assert set(faults(frames).values()) == {UNDECODABLE}
    assert abs(next(iter(faults(frames))) - 31) <= 4


def test_packets_that_a_broadcast_lost_are_recognised_by_the_gap(clips: Path, tmp_path: Path) -> None:
    frames, video = read(drop_blocks(clips / "h264.ts", tmp_path / "x.ts", 60, 75))
    assert len(frames) == COUNT
    np.testing.assert_allclose(np.diff(sorted(frame.time_s for frame in frames)), 1 / FPS, atol=1e-5)
    assert video.backward_times <= 1
    assert NO_PACKET in faults(frames).values()
    assert video.missing_frames < 15


def test_damage_that_the_decoder_conceals_has_a_picture(clips: Path, tmp_path: Path) -> None:
    """Bits turned inside a picture: FFmpeg patches it and says nothing."""
    place = packet_places(clips / "h264.mp4")[24]
    frames, video = read(flip(clips / "h264.mp4", tmp_path / "x.mp4", [place], at=0.5, length=40))
    assert len(frames) == COUNT
    assert video.missing_frames == 0


def test_a_cut_off_file_yields_the_frames_that_it_has(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mp4", noise(40))
    intact, _ = read(whole)
    frames, video = read(cut_off(whole, tmp_path / "cut.mp4", 0.6))
    assert 10 < len(frames) < 30
    assert (video.lost_frames, video.missing_frames) == (40 - len(frames), 0)
    for frame, same in zip(frames[:-4], intact, strict=False):
        np.testing.assert_array_equal(picture(frame), picture(same))
