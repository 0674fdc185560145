"""Where live pictures come from: a camera, a stream, standard input, or a file played at its own speed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import av
import cv2
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.video.encode import VideoTime
from abaw.video.reading.geometry import orientation_of
from abaw.video.reading.registry import open_video

_TIMEOUT_S = (10.0, 10.0)
"""To open a stream, and to wait for its next picture."""


class SourceLost(Exception):
    """The source was there and gives no more pictures, but may come back; the text says what happened."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One picture. image: RGB (H, W, 3) uint8; due: `time.monotonic()` when it was taken, or would be on a screen.

    time_s: in the video that it comes from, None if only the clock tells.
    """

    image: NDArray[np.uint8]
    due: float
    time_s: float | None = None


class Source(Protocol):
    """name: for messages; returns: whether it is worth opening again after it was lost."""

    @property
    def name(self) -> str: ...

    @property
    def returns(self) -> bool: ...

    def pictures(self) -> Iterator[Picture]:
        """Open the source; ends with it. Raises DataError when it cannot be opened, SourceLost when it breaks off."""
        ...


def parse_source(text: str, in_real_time: bool = True) -> Source:
    """`0` a camera, `rtsp://…` a stream, `-` standard input, anything else a file.

    in_real_time: a file is played at its own speed, not read as fast as possible.
    """
    if text.isdecimal():
        return Camera(int(text))
    if text == "-" or "://" in text:
        return Stream(text)
    return File(Path(text), in_real_time)


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera by its number, through OpenCV."""

    number: int

    @property
    def name(self) -> str:
        return f"camera {self.number}"

    @property
    def returns(self) -> bool:
        return True

    def pictures(self) -> Iterator[Picture]:
        camera = cv2.VideoCapture(self.number)
        try:
            if not camera.isOpened():
                raise DataError(
                    f"{self.name}: cannot be opened; check that it is connected, that no other program uses it, and "
                    "that you may read /dev/video*"
                )
            while True:
                taken, image = camera.read()
                if not taken:
                    raise SourceLost(f"{self.name} gives no more pictures")
                yield Picture(cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False), time.monotonic())
        finally:
            camera.release()


@dataclass(frozen=True, slots=True)
class Stream:
    """An address that FFmpeg can open, or `-` for standard input."""

    address: str

    @property
    def name(self) -> str:
        return "standard input" if self.address == "-" else self.address

    @property
    def returns(self) -> bool:
        return self.address != "-"

    def pictures(self) -> Iterator[Picture]:
        options = {"rtsp_transport": "tcp"} if self.address.startswith("rtsp") else {}
        place = sys.stdin.buffer if self.address == "-" else self.address
        try:
            container = av.open(place, mode="r", options=options, timeout=_TIMEOUT_S, metadata_errors="replace")
        except (FFmpegError, OSError) as error:
            raise DataError(
                f"{self.name}: is not video that FFmpeg can read ({error}); check the address and that it is being sent"
            ) from error
        with container:
            if not container.streams.video:
                raise DataError(f"{self.name}: has no picture; expected a video stream")
            container.streams.video[0].thread_type = "SLICE"  # threads by frame hold pictures back
            try:
                for frame in container.decode(video=0):
                    image = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
                    yield Picture(orientation_of(frame)(image), time.monotonic())
            except FFmpegError as error:
                raise SourceLost(f"{self.name} broke off ({error})") from error
        if self.returns:
            raise SourceLost(f"{self.name} ended")


@dataclass(frozen=True, slots=True)
class File:
    """A video file. in_real_time: each picture comes at its time, as on a screen; otherwise as fast as it is read."""

    path: Path
    in_real_time: bool = True

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def returns(self) -> bool:
        return False

    def pictures(self) -> Iterator[Picture]:
        yield from self.paced(time.monotonic, time.sleep)

    def paced(self, clock: Callable[[], float], sleep: Callable[[float], None]) -> Iterator[Picture]:
        """`pictures` by another clock. Frames that cannot be decoded are left out."""
        with open_video(self.path) as video:
            time_of = VideoTime(video.fps).push
            start: float | None = None
            for frame in video:
                time_s = time_of(frame.time_s)
                if frame.image is None:
                    continue
                if start is None:
                    start = clock() - time_s
                due = start + time_s
                if not self.in_real_time:
                    due = clock()
                elif (early := due - clock()) > 0:
                    sleep(early)
                yield Picture(frame.image, due, time_s)
