"""A still image as a video of one frame, for code that works on videos."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from abaw.core.errors import DataError
from abaw.video.reading.frames import Header, VideoFrame, VideoReader


class StillReader(VideoReader):
    """One frame at time 0, upright according to the EXIF data. Raises DataError for a file that is not an image."""

    def __init__(self, path: Path, square_pixels: bool = True) -> None:
        super().__init__(path, Header(fps=1.0, num_frames=1, start_s=0.0))
        data = np.fromfile(path, np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
        if image is None:
            raise DataError(f"{path}: is not a readable image; download it again, or leave it out")
        self._image = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)

    def _frames(self) -> Iterator[VideoFrame]:
        yield VideoFrame(1, 0.0, self._image)

    def close(self) -> None:
        pass


READER = StillReader
