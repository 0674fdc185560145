"""A still image as a video of one frame, for code that works on videos."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.core.reading import read_errors
from abaw.video.reading.frames import Header, VideoFrame, VideoReader


class StillReader(VideoReader):
    """One frame at time 0, upright according to the EXIF data. Raises DataError for a file that is not an image."""

    def __init__(self, path: Path, square_pixels: bool = True) -> None:
        super().__init__(path, Header(fps=1.0, num_frames=1, start_s=0.0))
        image = read_picture(path, cv2.IMREAD_COLOR_RGB)
        if image is None:
            raise DataError(f"{path}: is not a readable image; download it again, or leave it out")
        self._image = image

    def _frames(self) -> Iterator[VideoFrame]:
        yield VideoFrame(1, 0.0, self._image)

    def close(self) -> None:
        pass


def read_picture(path: Path, flags: int) -> NDArray[np.uint8] | None:
    """A picture as `cv2.imread` returns it with these flags, turned upright by its EXIF data.

    None if the file is not a complete image. Raises DataError for a file that the system does not give.
    """
    with read_errors(path, "cannot be read"):
        data = np.frombuffer(path.read_bytes(), np.uint8)
    try:
        picture = cv2.imdecode(data, flags)
    except cv2.error:
        return None
    return None if picture is None else np.asarray(picture, np.uint8)


READER = StillReader
