"""The default reader: PyAV, sequential, exact, a few frames of memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import numpy as np
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame as AVFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.video.reading.container import choose_stream, open_container, read_header
from abaw.video.reading.frames import VideoFrame, VideoReader
from abaw.video.reading.geometry import ROUNDED_TURN, orientation_of, plausible_aspect, squared
from abaw.video.reading.lost_frames import Ledger, Missing

VideoPacket: TypeAlias = "Packet[VideoStream]"
_WITHOUT_TIMES = "avi"
_MOST_REORDERED = 16
"""Frames that H.264 and H.265 allow a decoder to hold."""
_BROADCAST = ("mpegts", "mpeg", "h264", "hevc")


class PyAVReader(VideoReader):
    """Frames as a player shows them; those that cannot be decoded come without a picture.

    Every picture that the decoder returns becomes a frame, in the decoder's order. Decoding runs in one thread: that
    leaves the cores to detection, gives the same pictures on every machine, shows which packet is at fault, and keeps
    the last frames of a cut-off file, which FFmpeg's frame threads drop. An AVI has no presentation times: its frames
    get those of a constant rate, and one that is missing may be a few rows off.
    """

    def __init__(self, path: Path, square_pixels: bool = True) -> None:
        self._container = open_container(path)
        self._stream, about_streams = choose_stream(self._container)
        try:
            super().__init__(path, read_header(self._stream, path))
        except DataError:
            self._container.close()
            raise
        self._aspect, about_pixels = plausible_aspect(self._stream) if square_pixels else (Fraction(1), "")
        self.notes += filter(None, (about_streams, about_pixels))
        self._stream.thread_type = "NONE"
        self._has_times = self._container.format.name != _WITHOUT_TIMES

    def close(self) -> None:
        self._container.close()

    def _frames(self) -> Iterator[VideoFrame]:
        for index, frame in enumerate(self._accounted(), start=1):
            if isinstance(frame, Missing):
                yield VideoFrame(index, self._time_s(frame.pts, index), None, frame.reason)
            else:
                yield VideoFrame(index, self._time_s(frame.pts, index), self._shown(frame))

    def _shown(self, frame: AVFrame) -> NDArray[np.uint8]:
        orientation = orientation_of(frame)
        if not orientation.exact and ROUNDED_TURN not in self.notes:
            self.notes.append(ROUNDED_TURN)
        image: NDArray[np.uint8] = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
        return orientation(squared(image, self._aspect))

    def _time_s(self, pts: int | None, index: int) -> float:
        if pts is None or not self._has_times or self._stream.time_base is None:
            return round((index - 1) / self.fps, 6)
        return round(float(pts * self._stream.time_base), 6)

    def _accounted(self) -> Iterator[AVFrame | Missing]:
        """Decoded frames and, in their places, the frames promised by packets but lost to damage."""
        ledger = Ledger(from_key=self._container.format.name in _BROADCAST)
        held: deque[AVFrame | Missing] = deque()
        for packet in self._packets():
            frames, refused = self._decode(packet)
            if packet is not None and packet.size and not packet.is_discard:
                pts = packet.pts if self._has_times else None
                held += ledger.sent(pts, packet.is_keyframe, refused, packet.is_corrupt, packet.dts)
            for frame in frames:
                before = ledger.came(frame.pts if self._has_times else None, frame.key_frame)
                if before.retracted is not None and before.retracted in held:
                    held.remove(before.retracted)
                held += [*before.missing, frame]
            yield from _settled(held)
        yield from held
        yield from ledger.ended()
        self.pictureless_packets += ledger.pictureless

    def _packets(self) -> Iterator[VideoPacket | None]:
        """The packets of the stream. None flushes the frames that the decoder still holds."""
        packets = self._container.demux(self._stream)
        last_dts: int | None = None
        while True:
            try:
                packet = next(packets)
            except (StopIteration, IndexError):
                # PyAV ends with an IndexError, after the last packet, where another stream begins late in the file.
                return
            except FFmpegError:  # the file is truncated; what came before counts
                self.bad_packets += 1
                yield None
                return
            if not packet.size and packet.dts is not None:  # an empty packet repeats a picture; a decoder would flush
                self.pictureless_packets += 1
                continue
            self.hidden_frames += packet.is_discard
            if not self._has_times and packet.dts is not None:  # an AVI counts its chunks, and empty ones are skipped
                self.pictureless_packets += 0 if last_dts is None else max(0, packet.dts - last_dts - 1)
                last_dts = packet.dts
            yield packet

    def _decode(self, packet: VideoPacket | None) -> tuple[list[AVFrame], bool]:
        """The frames released by this packet, and whether the decoder refused it."""
        try:
            return list(self._stream.decode(packet)), False
        except FFmpegError:
            self.bad_packets += 1
            return [], True


def _settled(held: deque[AVFrame | Missing]) -> Iterator[AVFrame | Missing]:
    """What may go out: all up to a missing frame that may still come, as late as a decoder reorders frames at most."""
    while held and (not isinstance(held[0], Missing) or len(held) > _MOST_REORDERED):
        yield held.popleft()


READER = PyAVReader
