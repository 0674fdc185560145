"""Opening a video file, and what its header states."""

from __future__ import annotations

from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from abaw.core.errors import DataError
from abaw.core.reading import read_errors, require_regular
from abaw.video.reading.frames import Header

_STILLS = ("image2", "_pipe")
_TEXT = "tty"
_MP4_ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free")


def open_container(path: Path) -> InputContainer:
    """Open a video; close it after use. Raises DataError for a still image or any other file that is not a video."""
    require_regular(path)
    try:
        container = av.open(str(path), mode="r", metadata_errors="replace")
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
        raise DataError(f"{path}: is a still image, not a video; use `abaw import-images` for still images")
    if format_name == _TEXT or not container.streams.video:
        raise DataError(f"{path}: is not a video (it has no picture stream); give a video file, or leave this one out")
    if not _moving_streams(container):
        raise DataError(f"{path}: is not a video (its picture is a cover); give a video file, or leave this one out")


def _moving_streams(container: InputContainer) -> list[VideoStream]:
    """The video streams that are not cover pictures."""
    return [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]


def choose_stream(container: InputContainer) -> tuple[VideoStream, str]:
    """The video stream that is read, and a note about the others, "" if there are none.

    It is the one flagged as default; if none or several are, the best by FFmpeg's own rule (flags, then number of
    frames and bit rate).
    """
    streams = _moving_streams(container)
    if len(streams) == 1:
        return streams[0], ""
    flagged = [stream for stream in streams if stream.disposition & Disposition.default]
    best = container.streams.best("video")
    candidates = flagged or streams
    chosen = best if best in candidates else candidates[0]
    assert isinstance(chosen, VideoStream)
    others = ", ".join(f"{stream.width}×{stream.height}" for stream in streams if stream is not chosen)
    return chosen, (
        f"has {len(streams)} video streams; the one of {chosen.width}×{chosen.height} is read, not those of {others}"
    )


def _why_unreadable(path: Path, error: FFmpegError) -> str:
    """Raises DataError for a file that the system does not give."""
    with read_errors(path, "cannot be read"), path.open("rb") as file:
        head = file.read(12)
    if not head:
        return "the file is empty; download it again"
    if head[4:8] in _MP4_ATOMS:
        return (
            "nothing can be decoded: the index of this mp4 (its 'moov' atom) is missing or damaged, as after an "
            "interrupted download or recording; download the file again"
        )
    return f"is not a video that FFmpeg can open ({error.strerror}); give a video file, or leave this one out"


def read_header(stream: VideoStream, path: Path) -> Header:
    """Raises DataError if the file states no frame rate."""
    rates = [rate for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate) if rate]
    if not rates:
        raise DataError(
            f"{path}: states no frame rate, so its frames have no times; convert it to a file with a frame rate"
        )
    start_s = float(stream.start_time * stream.time_base) if stream.start_time and stream.time_base else 0.0
    return Header(float(rates[0]), stream.frames or None, start_s)
