"""The default reader: PyAV, sequential, exact, a few frames of memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame as AVFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.video.reading.container import open_container, read_header
from abaw.video.reading.frames import VideoFrame, VideoReader
from abaw.video.reading.ledger import Ledger, Missing

VideoPacket: TypeAlias = "Packet[VideoStream]"
_WITHOUT_TIMES = "avi"
_BROADCAST = ("mpegts", "mpeg", "h264", "hevc")


class PyAVReader(VideoReader):
    """Applies the rotation of the container's display matrix; frames that cannot be decoded come without a picture.

    Decodes in one thread: this leaves the cores to detection, gives the same pictures on every machine, identifies the
    damaged packet, and keeps the last frames of a truncated file, which FFmpeg's frame threads drop. An AVI file has no
    presentation times: its frames get those of a constant rate, and a missing frame may be a few rows off.
    """

    def __init__(self, path: Path) -> None:
        self._container = open_container(path)
        self._stream = self._container.streams.video[0]
        try:
            super().__init__(path, read_header(self._stream, path))
        except DataError:
            self._container.close()
            raise
        self._stream.thread_type = "NONE"
        self._has_times = self._container.format.name != _WITHOUT_TIMES

    def close(self) -> None:
        self._container.close()

    def _frames(self) -> Iterator[VideoFrame]:
        for index, frame in enumerate(self._accounted(), start=1):
            if isinstance(frame, Missing):
                yield VideoFrame(index, self._time_s(frame.pts, index), None, frame.reason)
            else:
                yield VideoFrame(index, self._time_s(frame.pts, index), _upright(frame))

    def _time_s(self, pts: int | None, index: int) -> float:
        if pts is None or not self._has_times or self._stream.time_base is None:
            return round((index - 1) / self.fps, 6)
        return round(float(pts * self._stream.time_base), 6)

    def _accounted(self) -> Iterator[AVFrame | Missing]:
        """Decoded frames and, in their places, the frames promised by packets but lost to damage."""
        ledger = Ledger(from_key=self._container.format.name in _BROADCAST)
        for packet in self._packets():
            frames, refused = self._decode(packet)
            if packet is not None and packet.size and not packet.is_discard:
                pts = packet.pts if self._has_times else None
                yield from ledger.sent(pts, packet.is_keyframe, refused, packet.is_corrupt)
            for frame in frames:
                missing = ledger.came(frame.pts if self._has_times else None, frame.key_frame)
                if missing is not None:
                    yield from missing
                    yield frame
        yield from ledger.ended()

    def _packets(self) -> Iterator[VideoPacket | None]:
        """The packets of the stream. None flushes the frames that the decoder still holds."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except FFmpegError:  # the file is truncated; what came before counts
                self.bad_packets += 1
                yield None
                return
            self.hidden_frames += packet.is_discard
            yield packet

    def _decode(self, packet: VideoPacket | None) -> tuple[list[AVFrame], bool]:
        """The frames released by this packet, and whether the decoder refused it."""
        try:
            return list(self._stream.decode(packet)), False
        except FFmpegError:
            self.bad_packets += 1
            return [], True


READER = PyAVReader


def _upright(frame: AVFrame) -> NDArray[np.uint8]:
    image: NDArray[np.uint8] = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
    quarter_turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, quarter_turns)) if quarter_turns else image
