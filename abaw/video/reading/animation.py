"""Animated WebP images as videos, through Pillow: the FFmpeg libraries of PyAV do not decode them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from abaw.core.reading import read_errors
from abaw.video.reading.frames import Header, VideoFrame, VideoReader

_USUAL_MS = 100
"""How long browsers show a frame that states no duration."""


class AnimationReader(VideoReader):
    """Every frame of the animation, once, at the time at which it appears; transparent places are black."""

    def __init__(self, path: Path, square_pixels: bool = True) -> None:
        wrong = (EOFError, ValueError, SyntaxError, Image.DecompressionBombError)
        with read_errors(path, "not a readable animation", "download it again", wrong):
            self._image = Image.open(path)
            count = int(getattr(self._image, "n_frames", 1))
            self._durations_ms = [self._duration_ms(index) for index in range(count)]
        fps = 1000 * count / max(1, sum(self._durations_ms))
        super().__init__(path, Header(fps=fps, num_frames=count, start_s=0.0))

    def _duration_ms(self, index: int) -> int:
        self._image.seek(index)
        self._image.load()
        return int(self._image.info.get("duration") or _USUAL_MS)

    def _frames(self) -> Iterator[VideoFrame]:
        elapsed_ms = 0
        for index, duration_ms in enumerate(self._durations_ms, start=1):
            self._image.seek(index - 1)
            yield VideoFrame(index, round(elapsed_ms / 1000, 6), np.asarray(self._image.convert("RGB"), np.uint8))
            elapsed_ms += duration_ms

    def close(self) -> None:
        self._image.close()


READER = AnimationReader
