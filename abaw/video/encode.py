"""Frames with arbitrary times -> an H.264 file that browsers and players can show."""

from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from abaw.audio.track import SourceSound, open_sound
from abaw.core.artifacts import storage_errors
from abaw.core.errors import DataError
from abaw.video.sound import SoundWriter, sound_writer

_TICK = Fraction(1, 90_000)
BACK_S = 0.5
"""A longer step back of time stamps is their new beginning, as in joined recordings."""
_BT601 = 6
"""Number in H.273 of the colour space that the conversion from RGB produces; without it, players guess."""


class VideoTime:
    """Time stamps of frames, one by one -> seconds since the first one, which never run backwards.

    Where stamps begin again, time goes on with the next frame. They begin again with a step back of more than BACK_S,
    or to the first stamp or before it. After a shorter step back, time stands still until the stamps have caught up.
    fps: mean frame rate.
    """

    def __init__(self, fps: float) -> None:
        self._frame_s = 1 / fps
        self._first_s: float | None = None
        self._start_s = self._last_s = self._time_s = 0.0

    def push(self, stamp_s: float) -> float:
        if self._first_s is None:
            self._first_s = self._start_s = self._last_s = stamp_s
        if stamp_s < self._last_s and (stamp_s <= self._first_s or stamp_s < self._last_s - BACK_S):
            self._start_s -= self._last_s + self._frame_s - stamp_s
        self._last_s = stamp_s
        self._time_s = max(self._time_s, stamp_s - self._start_s)
        return self._time_s


class H264Writer:
    """An .mp4 that keeps every frame and its time: no B-frames, at least one key frame per second, the index in front.

    Where times begin again, those of the file go on. fps: mean frame rate, for this, rate control and key frames. Odd
    sides grow by one pixel. sound: a video with the same times, whose sound is added, if it has any. Raises
    StorageError if the disk is full.
    """

    def __init__(self, path: Path, fps: float, sound: Path | None = None) -> None:
        self._path = path
        self._fps = fps
        self._source = None if sound is None else _sound_of(sound)
        self._sound: SoundWriter | None = None
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "faststart"})
        self._stream: VideoStream | None = None
        self._time = VideoTime(fps)
        self._last = -1
        self._shape: tuple[int, ...] | None = None

    def __enter__(self) -> H264Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        with ExitStack() as stack:
            if self._source is not None:
                stack.enter_context(self._source)
            stack.enter_context(storage_errors(self._path))
            if kind is None and self._stream is not None:
                self._container.mux(self._stream.encode())
                if self._sound is not None:
                    self._sound.finish(float(self._last * _TICK))
            self._container.close()

    def add(self, image: NDArray[np.uint8], time_s: float) -> None:
        """Add a frame, RGB (H, W, 3), scaled to the size of the first one; times count from the first one's."""
        if self._shape is not None and image.shape != self._shape:
            image = np.asarray(cv2.resize(image, self._shape[1::-1], interpolation=cv2.INTER_AREA), np.uint8)
        self._shape = image.shape
        height, width = image.shape[:2]
        if height % 2 or width % 2:
            image = np.asarray(cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE), np.uint8)
        stream = self._stream or self._begin(image, time_s)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        self._last = max(round(self._time.push(time_s) / _TICK), self._last + 1)
        frame.pts, frame.time_base = self._last, _TICK
        with storage_errors(self._path):
            self._container.mux(stream.encode(frame))
            if self._sound is not None:
                self._sound.write_until(float(self._last * _TICK))

    def _begin(self, image: NDArray[np.uint8], time_s: float) -> VideoStream:
        options: dict[str, object] = {"preset": "veryfast", "crf": "21", "bf": "0", "g": str(max(1, round(self._fps)))}
        stream = self._container.add_stream("libx264", rate=Fraction(self._fps).limit_denominator(1001))
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = options
        stream.codec_context.time_base = _TICK
        stream.codec_context.colorspace = _BT601
        self._stream = stream
        if self._source is not None:
            self._sound = sound_writer(self._source, self._container, time_s)
        return stream


def _sound_of(video: Path) -> SourceSound | None:
    """None if it has no sound, or none that can be opened."""
    try:
        return open_sound(video)
    except DataError:
        return None
