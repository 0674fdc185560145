"""The sound of a video, for a copy of it: packets as they are where mp4 and browsers take them, AAC otherwise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from numpy.typing import NDArray

SoundPacket: TypeAlias = "Packet[AudioStream]"

_COPIED = frozenset({"aac", "mp3", "opus", "flac"})
_NEED_A_HEADER = frozenset({"opus", "flac"})
_MP3_MIN_RATE = 16_000
"""mp4 does not allow MP3 below this sample rate."""
_AAC_RATES = frozenset({96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000})
_AAC_RATE = 48_000
_JITTER_S = 0.02
"""Times that deviate by less are continuous sound; containers round them to milliseconds."""
_MOST_GAP_S = 10.0
"""A longer gap after the end of the picture is a wrong time, and ends the sound."""
_WITHOUT_HEADER = ("flv", "mpegts", "mpeg")
_PROBE_ALL = {"probesize": str(1 << 30), "analyzeduration": str(3600 * 1_000_000)}


class SourceSound:
    """The sound track of a video: the one flagged as default, or else the best by FFmpeg's rule. A context manager."""

    def __init__(self, container: InputContainer, stream: AudioStream) -> None:
        self._container = container
        self.stream = stream

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


def open_sound(path: Path) -> SourceSound | None:
    """The sound of a video; close it after use. None if it has none, or none that can be opened."""
    try:
        container = av.open(str(path), metadata_errors="replace")
        if not container.streams.audio and container.format.name in _WITHOUT_HEADER:
            # Such files announce no streams: sound that begins late is only found by reading on.
            container.close()
            container = av.open(str(path), options=_PROBE_ALL, metadata_errors="replace")
    except FFmpegError:
        return None
    streams = [stream for stream in container.streams.audio if stream.codec_context and stream.rate]
    if not streams:
        container.close()
        return None
    flagged = [stream for stream in streams if stream.disposition & Disposition.default]
    best = container.streams.best("audio")
    candidates = flagged or streams
    return SourceSound(container, next((stream for stream in candidates if stream is best), candidates[0]))


class SoundWriter(ABC):
    """Writes sound to an mp4 alongside the pictures, at its times in the source less `start_s`.

    Sound before `start_s`, the time of the first picture, is left out. Make it before anything is written to the file.
    """

    def __init__(self, source: SourceSound, container: OutputContainer, start_s: float) -> None:
        self._container = container
        self._start_s = start_s
        self._packets = source.packets()
        self._next: SoundPacket | None = None
        self._end_s = 0.0

    def write_until(self, time_s: float) -> None:
        """Write the sound that begins before `time_s`, counted from the first picture."""
        while (packet := self._peek()) is not None and self._begin_s(packet) < time_s:
            self._take(packet)

    def finish(self, picture_end_s: float) -> None:
        """Write what remains after the last picture."""
        while (packet := self._peek()) is not None:
            if self._begin_s(packet) > max(picture_end_s, self._end_s) + _MOST_GAP_S:
                break
            self._take(packet)
        self._flush()

    def _peek(self) -> SoundPacket | None:
        if self._next is None:
            self._next = next(self._packets, None)
        return self._next

    def _take(self, packet: SoundPacket) -> None:
        self._next = None
        self._end_s = max(self._end_s, self._begin_s(packet))
        self._write(packet)

    def _begin_s(self, packet: SoundPacket) -> float:
        assert packet.pts is not None and packet.time_base is not None
        return float(packet.pts * packet.time_base) - self._start_s

    @abstractmethod
    def _write(self, packet: SoundPacket) -> None: ...

    @abstractmethod
    def _flush(self) -> None: ...


def sound_writer(source: SourceSound, container: OutputContainer, start_s: float) -> SoundWriter:
    """Copies the packets if mp4 and browsers take them, and re-encodes otherwise."""
    context = source.stream.codec_context
    name = {"mp3float": "mp3", "libopus": "opus"}.get(context.name, context.name)
    fits = (
        name in _COPIED
        and (name not in _NEED_A_HEADER or bool(context.extradata))
        and (name != "mp3" or context.sample_rate >= _MP3_MIN_RATE)
    )
    return (_CopiedSound if fits else _EncodedSound)(source, container, start_s)


class _CopiedSound(SoundWriter):
    def __init__(self, source: SourceSound, container: OutputContainer, start_s: float) -> None:
        super().__init__(source, container, start_s)
        self._stream = container.add_stream_from_template(source.stream)
        self._last: int | None = None

    def _write(self, packet: SoundPacket) -> None:
        assert packet.pts is not None and packet.time_base is not None
        pts = packet.pts - round(Fraction(self._start_s) / packet.time_base)
        if pts < 0 or (self._last is not None and pts <= self._last):
            return
        self._last = pts
        packet.pts = packet.dts = pts
        packet.stream = self._stream
        # A damaged packet leaves silence.
        with suppress(ValueError):
            self._container.mux(packet)

    def _flush(self) -> None:
        """Nothing is held back."""


class _EncodedSound(SoundWriter):
    """AAC without gaps: silence where the source has no sound, and nothing twice where its times overlap."""

    def __init__(self, source: SourceSound, container: OutputContainer, start_s: float) -> None:
        super().__init__(source, container, start_s)
        rate = source.stream.codec_context.sample_rate
        self._rate = rate if rate in _AAC_RATES else _AAC_RATE
        self._layout = "mono" if source.stream.codec_context.channels == 1 else "stereo"
        self._stream: AudioStream = container.add_stream("aac", rate=self._rate)
        self._stream.layout = self._layout
        self._resampler = AudioResampler("fltp", self._layout, self._rate)
        self._written = 0

    def _write(self, packet: SoundPacket) -> None:
        try:
            frames = packet.decode()
        except FFmpegError:
            return  # a damaged packet leaves silence
        for frame in frames:
            begin_s = self._begin_s(packet) if frame.time is None else float(frame.time) - self._start_s
            frame.pts = None
            samples = [part.to_ndarray() for part in self._resampler.resample(frame)]
            if samples:
                self._place(np.concatenate(samples, axis=1), begin_s)

    def _place(self, samples: NDArray[np.float32], begin_s: float) -> None:
        """samples: (channels, N)"""
        ahead = round(begin_s * self._rate) - self._written
        if abs(ahead) <= _JITTER_S * self._rate:
            ahead = 0
        for count in _pieces(max(0, ahead), self._rate):
            self._encode(np.zeros((samples.shape[0], count), np.float32))
        rest = samples[:, max(0, -ahead) :]
        if rest.shape[1]:
            self._encode(rest)

    def _encode(self, samples: NDArray[np.float32]) -> None:
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", self._layout)
        frame.sample_rate, frame.pts, frame.time_base = self._rate, self._written, Fraction(1, self._rate)
        self._written += samples.shape[1]
        self._container.mux(self._stream.encode(frame))

    def _flush(self) -> None:
        if self._written:
            self._container.mux(self._stream.encode(None))


def _pieces(total: int, largest: int) -> Iterable[int]:
    return (min(largest, total - done) for done in range(0, total, largest))
