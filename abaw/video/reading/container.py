"""What both readers need to know of a file before they decode it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from abaw.core.errors import DataError

_STILLS = ("image2", "_pipe", "gif")
_TEXT = "tty"
_MP4_ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free")


@dataclass(frozen=True, slots=True)
class Header:
    """What the file states. fps: mean frame rate; num_frames: None when not stated; start_s: the first frame's time."""

    fps: float
    num_frames: int | None
    start_s: float


def open_container(path: Path) -> InputContainer:
    """Open a video; close it after use. Raises DataError for a file that is no video, a still image or a text."""
    try:
        container = av.open(str(path), mode="r")
    except FFmpegError as error:
        raise DataError(f"{path}: {_why_unreadable(path, error)}") from error
    try:
        _check_format(container, path)
    except DataError:
        container.close()
        raise
    return container


def _check_format(container: InputContainer, path: Path) -> None:
    format_name = container.format.name
    if any(mark in format_name for mark in _STILLS):
        raise DataError(f"{path}: is a still image, no video; stills are read by `abaw import-images`")
    if format_name == _TEXT or not container.streams.video:
        raise DataError(f"{path}: is no video (no picture stream in it); give a video file or take it out")


def _why_unreadable(path: Path, error: FFmpegError) -> str:
    with path.open("rb") as file:
        head = file.read(12)
    if not head:
        return "the file is empty; get it again"
    if head[4:8] in _MP4_ATOMS:
        return (
            "nothing can be decoded: the index of this mp4 (its 'moov' atom) is missing or damaged, as when a download "
            "or a recording was cut off; get the file again"
        )
    return f"is no video that FFmpeg can open ({error.strerror}); give a video file or take it out"


def read_header(stream: VideoStream, path: Path) -> Header:
    """Raises DataError when the file states no frame rate."""
    rates = [rate for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate) if rate]
    if not rates:
        raise DataError(f"{path}: states no frame rate, so its frames have no times; write it again with a frame rate")
    start_s = float(stream.start_time * stream.time_base) if stream.start_time and stream.time_base else 0.0
    return Header(float(rates[0]), stream.frames or None, start_s)
