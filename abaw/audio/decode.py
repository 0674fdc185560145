"""The packets of a sound track -> samples at their times.

Encoders put silence in front of the sound; FFmpeg removes it where the file states its length, and times are right
either way. Shapes: N samples, ch channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.error import FFmpegError
from numpy.typing import NDArray

from abaw.audio.track import SoundPacket, SourceSound

Samples: TypeAlias = NDArray[np.float32]

_JITTER_S = 0.02
"""Times that deviate by less are continuous sound; containers round them to milliseconds."""
_FILLED_S = 0.2
"""A gap of at most this length, such as a lost packet, is silence within the sound; a longer one has no sound."""


class Resampler:
    """Packets -> sound in one layout at one rate, whatever the source changes to in between."""

    def __init__(self, layout: str, rate: int) -> None:
        self._layout, self._rate = layout, rate
        self._resampler: AudioResampler | None = None
        self._format: tuple[str, str, int] | None = None

    def decode(self, packet: SoundPacket) -> Iterator[tuple[float, Samples]]:
        """Time in seconds and samples (ch, N) of each piece. A damaged packet has none."""
        assert packet.pts is not None and packet.time_base is not None
        try:
            frames = packet.decode()
        except FFmpegError:
            return
        for frame in frames:
            begin_s = float(packet.pts * packet.time_base if frame.time is None else frame.time)
            frame.pts = None
            samples = [part.to_ndarray() for part in self._resample(frame)]
            if samples:
                yield begin_s, np.concatenate(samples, axis=1)

    def _resample(self, frame: AudioFrame) -> list[AudioFrame]:
        found = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or found != self._format:
            self._resampler, self._format = AudioResampler("fltp", self._layout, self._rate), found
        return self._resampler.resample(frame)


class TimeLine:
    """Puts pieces of sound one after another by their times. rate: samples per second; end: sample after the last."""

    def __init__(self, rate: int, end: int) -> None:
        self.rate, self.end = rate, end

    def place(self, samples: Samples, begin_s: float) -> tuple[int, Samples]:
        """The number of samples that are missing before a piece, and the part of the piece that is new.

        samples: (..., N). A piece that begins a little early or late is taken to follow; sound is not heard twice.
        """
        ahead = round(begin_s * self.rate) - self.end
        if abs(ahead) <= _JITTER_S * self.rate:
            ahead = 0
        rest = samples[..., max(0, -ahead) :]
        self.end += max(0, ahead) + rest.shape[-1]
        return max(0, ahead), rest


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Mono sound. begin: number of its first sample, counted from time 0; samples: (N,) within ±1."""

    begin: int
    samples: Samples

    @property
    def end(self) -> int:
        return self.begin + len(self.samples)


def mono_chunks(source: SourceSound, rate: int) -> Iterator[Chunk]:
    """The sound in order of time, mixed to one channel, `rate` samples per second.

    A chunk begins where the one before it ends, unless there is no sound for longer than 0.2 s in between. Sound whose
    time lies before the end of what was heard is left out: the times of a joined file may begin again.
    """
    resampler = Resampler("mono", rate)
    line: TimeLine | None = None
    for packet in source.packets():
        for begin_s, piece in resampler.decode(packet):
            if line is None:
                line = TimeLine(rate, round(begin_s * rate))
            missing, samples = line.place(np.nan_to_num(piece[0], posinf=1.0, neginf=-1.0), begin_s)
            if 0 < missing <= _FILLED_S * rate:
                samples, missing = np.concatenate([np.zeros(missing, np.float32), samples]), 0
            if len(samples):
                yield Chunk(line.end - len(samples), samples)
