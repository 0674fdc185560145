"""The sound of a video, for a copy of it: packets as they are where mp4 and browsers take them, AAC otherwise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import suppress
from fractions import Fraction

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer

from abaw.audio.decode import Resampler, Samples, TimeLine
from abaw.audio.track import SoundPacket, SourceSound

_COPIED = frozenset({"aac", "mp3", "opus", "flac"})
_NEED_A_HEADER = frozenset({"opus", "flac"})
_MP3_MIN_RATE = 16_000
"""mp4 does not allow MP3 below this sample rate."""
_AAC_RATES = frozenset({96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000})
_AAC_RATE = 48_000
_MOST_GAP_S = 10.0
"""A longer gap after the end of the picture is a wrong time, and ends the sound."""


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
        self._line = TimeLine(rate if rate in _AAC_RATES else _AAC_RATE, 0)
        self._layout = "mono" if source.stream.codec_context.channels == 1 else "stereo"
        self._stream: AudioStream = container.add_stream("aac", rate=self._line.rate)
        self._stream.layout = self._layout
        self._resampler = Resampler(self._layout, self._line.rate)
        self._written = 0

    def _write(self, packet: SoundPacket) -> None:
        for begin_s, piece in self._resampler.decode(packet):
            missing, samples = self._line.place(piece, begin_s - self._start_s)
            for count in _pieces(missing, self._line.rate):
                self._encode(np.zeros((len(piece), count), np.float32))
            if samples.shape[1]:
                self._encode(samples)

    def _encode(self, samples: Samples) -> None:
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", self._layout)
        rate = self._line.rate
        frame.sample_rate, frame.pts, frame.time_base = rate, self._written, Fraction(1, rate)
        self._written += samples.shape[1]
        self._container.mux(self._stream.encode(frame))

    def _flush(self) -> None:
        if self._written:
            self._container.mux(self._stream.encode(None))


def _pieces(total: int, largest: int) -> Iterable[int]:
    return (min(largest, total - done) for done in range(0, total, largest))
