"""The default reader: PyAV, sequential, exact, a few frames of memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame as AVFrame
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.video.container import open_container, read_header
from abaw.video.reader import VideoFrame, VideoReader


class PyAVReader(VideoReader):
    """Rotation of the container's display matrix is applied; packets that cannot be decoded are skipped and counted.

    Decodes in one thread: that leaves the cores to detection, gives the same pictures on every machine, and keeps the
    last frames of a cut-off file, which FFmpeg's frame threads drop.
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

    def close(self) -> None:
        self._container.close()

    def _frames(self) -> Iterator[VideoFrame]:
        for index, frame in enumerate(self._decoded(), start=1):
            time_s = frame.time if frame.time is not None else (index - 1) / self.fps
            yield VideoFrame(index, round(float(time_s), 6), _upright(frame))

    def _decoded(self) -> Iterator[AVFrame]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except FFmpegError:  # the file ends in the middle of something; what came before it counts
                self.bad_packets += 1
                return
            self.hidden_frames += packet.is_discard
            try:
                frames = packet.decode()
            except FFmpegError:
                self.bad_packets += 1
                continue
            yield from frames


def _upright(frame: AVFrame) -> NDArray[np.uint8]:
    image: NDArray[np.uint8] = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
    quarter_turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, quarter_turns)) if quarter_turns else image
