"""What every reader delivers: frames, counted by decoding and never by the header."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.video.reading.read_ahead import ahead

_FRAMES_AHEAD = 4


@dataclass(frozen=True, slots=True)
class Header:
    """What the file states. fps: mean frame rate; num_frames: None if not stated; start_s: time of the first frame."""

    fps: float
    num_frames: int | None
    start_s: float


@dataclass(frozen=True, slots=True, eq=False)
class VideoFrame:
    """One frame of the video. index: from 1; time_s: presentation time; image: RGB, (H, W, 3) uint8, upright.

    For a frame that is part of the video but could not be decoded, image is None and fault says why.
    """

    index: int
    time_s: float
    image: NDArray[np.uint8] | None
    fault: str = ""


class VideoReader(ABC):
    """An open video. Iterate once; the counts of frames and packets are final when the iteration has ended.

    num_frames: frames delivered so far; missing_frames: those without a picture; fps: mean frame rate of the header;
    header_frames: number of frames stated by the header, None if it states none;
    hidden_frames: frames that an edit list removes from the presentation; they do not count as decoded frames;
    bad_packets: packets that could not be decoded and were skipped; pictureless_packets: intact packets that contain no
    picture of their own; backward_times: frames with a time before that of their predecessor; notes: what a user should
    know about the file, known from the start.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.fps = header.fps
        self.header_frames = header.num_frames
        self.hidden_frames = 0
        self.bad_packets = 0
        self.pictureless_packets = 0
        self.backward_times = 0
        self.notes: list[str] = []
        self.missing_frames = 0
        self.num_frames = 0

    @property
    def lost_frames(self) -> int:
        """Frames that the header states but that were not delivered, not even without a picture."""
        if self.header_frames is None:
            return 0
        return max(0, self.header_frames - self.hidden_frames - self.pictureless_packets - self.num_frames)

    def __iter__(self) -> Iterator[VideoFrame]:
        """Frames in order of presentation, decoded a few ahead in a thread.

        Raises DataError if none has a picture.
        """
        last_s = float("-inf")
        for frame in ahead(self._frames(), _FRAMES_AHEAD):
            self.backward_times += frame.time_s < last_s
            last_s = frame.time_s
            self.num_frames = frame.index
            self.missing_frames += frame.image is None
            yield frame
        if self.num_frames == self.missing_frames:
            raise DataError(f"{self.path}: no frame could be decoded; the file is empty or damaged, download it again")

    @abstractmethod
    def _frames(self) -> Iterator[VideoFrame]: ...

    @abstractmethod
    def close(self) -> None: ...
