"""Reading videos frame by frame: frames are counted by decoding, never by the header."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import ConfigError, DataError, nearest
from abaw.video.reading.ahead import ahead
from abaw.video.reading.container import Header

ReaderName = Literal["pyav", "decord", "torchcodec"]
READERS: Final[tuple[str, ...]] = get_args(ReaderName)
STILL: Final = "still"
"""The reader of one still image as a video of one frame."""
_FRAMES_AHEAD = 4


@dataclass(frozen=True, slots=True, eq=False)
class VideoFrame:
    """One frame of the video. index: from 1; time_s: presentation time; image: RGB, (H, W, 3) uint8, upright.

    image is None, and fault says why, for a frame that is part of the video and could not be decoded.
    """

    index: int
    time_s: float
    image: NDArray[np.uint8] | None
    fault: str = ""


class VideoReader(ABC):
    """An open video. Iterate once; the counts of frames and packets are known when the iteration has ended.

    num_frames: frames given so far; missing_frames: those without a picture; fps: mean frame rate of the header;
    header_frames: number of frames that the header states, None when it is silent;
    hidden_frames: frames that an edit list takes out of the presentation, which are not decoded frames of the video;
    bad_packets: packets that could not be decoded and were skipped.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.fps = header.fps
        self.header_frames = header.num_frames
        self.hidden_frames = 0
        self.bad_packets = 0
        self.missing_frames = 0
        self.num_frames = 0

    @property
    def lost_frames(self) -> int:
        """Frames that the header states and that did not come, not even without a picture."""
        if self.header_frames is None:
            return 0
        return max(0, self.header_frames - self.hidden_frames - self.num_frames)

    def __iter__(self) -> Iterator[VideoFrame]:
        """Frames in order of presentation, decoded a few ahead in a thread.

        Raises DataError when not one has a picture.
        """
        for frame in ahead(self._frames(), _FRAMES_AHEAD):
            self.num_frames = frame.index
            self.missing_frames += frame.image is None
            yield frame
        if self.num_frames == self.missing_frames:
            raise DataError(f"{self.path}: not one frame could be decoded; the file is empty or damaged, get it again")

    @abstractmethod
    def _frames(self) -> Iterator[VideoFrame]: ...

    @abstractmethod
    def close(self) -> None: ...


@contextmanager
def open_video(path: Path, reader: str = "pyav") -> Iterator[VideoReader]:
    """Open a video with one of READERS, or an image with STILL, and close it afterwards.

    Raises ConfigError for another reader, and DataError for a file that is no video or no image.
    """
    if reader not in (*READERS, STILL):
        raise ConfigError(f"no reader '{reader}'; there are {', '.join(READERS)}.{nearest(reader, READERS)}")
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    opened = _open(path, reader)
    try:
        yield opened
    finally:
        opened.close()


def _open(path: Path, reader: str) -> VideoReader:
    if reader == "decord":
        from abaw.video.reading.decord import DecordReader

        return DecordReader(path)
    if reader == "torchcodec":
        from abaw.video.reading.torchcodec import TorchCodecReader

        return TorchCodecReader(path)
    if reader == STILL:
        from abaw.video.reading.still import StillReader

        return StillReader(path)
    from abaw.video.reading.pyav import PyAVReader

    return PyAVReader(path)
