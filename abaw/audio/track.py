"""Finding and opening the sound track of a video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition

from abaw.core.errors import DataError
from abaw.core.reading import require_regular

SoundPacket: TypeAlias = "Packet[AudioStream]"

_WITHOUT_HEADER = ("flv", "mpegts", "mpeg")
_PROBE_ALL = {"probesize": str(1 << 30), "analyzeduration": str(3600 * 1_000_000)}


class NoSoundError(DataError):
    """A video without sound. `reason` says so without naming the file."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.reason = reason


class SourceSound:
    """The sound track of a video. A context manager.

    note: which of several tracks it is; "" if the video has one.
    """

    def __init__(self, container: InputContainer, stream: AudioStream, note: str = "") -> None:
        self._container = container
        self.stream = stream
        self.note = note

    def __enter__(self) -> SourceSound:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._container.close()

    def packets(self) -> Iterator[SoundPacket]:
        """The packets that have a time, until the first that cannot be read."""
        try:
            for packet in self._container.demux(self.stream):
                if packet.pts is not None and packet.size:
                    yield packet
        except (FFmpegError, IndexError):
            # PyAV raises IndexError for a stream that begins later. What has been read is kept.
            return


def open_sound(path: Path, track: int | None = None) -> SourceSound:
    """The sound of a video; close it after use.

    track: number of a sound track, from 1; None for the one flagged as default, or else the best by FFmpeg's rule.
    Raises NoSoundError if the video has no sound that can be decoded, and DataError if it lacks the track or cannot be
    opened.
    """
    require_regular(path)
    container = _opened(path)
    try:
        stream, note = _choose(container, path, track)
    except DataError:
        container.close()
        raise
    return SourceSound(container, stream, note)


def _opened(path: Path) -> InputContainer:
    try:
        container = av.open(str(path), metadata_errors="replace")
        if not container.streams.audio and container.format.name in _WITHOUT_HEADER:
            # Such files announce no streams: sound that begins late is only found by reading on.
            container.close()
            container = av.open(str(path), options=_PROBE_ALL, metadata_errors="replace")
    except FFmpegError as error:
        raise DataError(f"{path}: is not a video that FFmpeg can open ({error.strerror})") from error
    return container


def _choose(container: InputContainer, path: Path, track: int | None) -> tuple[AudioStream, str]:
    streams = container.streams.audio
    if not streams:
        raise NoSoundError(path, "it has no sound track")
    if track is not None and not 1 <= track <= len(streams):
        raise DataError(f"{path}: has no sound track {track}; it has {len(streams)}, numbered from 1")
    usable = [stream for stream in streams if stream.codec_context and stream.rate]
    if not usable or (track is not None and streams[track - 1] not in usable):
        raise NoSoundError(path, "the codec of its sound track is not known to FFmpeg")
    if track is not None:
        chosen = streams[track - 1]
    else:
        flagged = [stream for stream in usable if stream.disposition & Disposition.default] or usable
        best = container.streams.best("audio")
        chosen = next((stream for stream in flagged if stream is best), flagged[0])
    return chosen, _note(streams, chosen)


def _note(streams: Sequence[AudioStream], chosen: AudioStream) -> str:
    if len(streams) == 1:
        return ""
    number = next(number for number, stream in enumerate(streams, start=1) if stream is chosen)
    language = chosen.language
    return f"track {number} of {len(streams)}" + (f" ({language})" if language else "")
