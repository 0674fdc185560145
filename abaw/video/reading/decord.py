"""The decord reader: optional, read in order, with guards against its known faults."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import decord
import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.video.reading.container import choose_stream, open_container, read_header
from abaw.video.reading.frames import VideoFrame, VideoReader
from abaw.video.reading.geometry import ROUNDED_TURN, Orientation, geometry_of, squared
from abaw.video.reading.read_ahead import Stalled, ahead

_BATCH = 8
_STALL_S = 60.0
_ADVICE = "use the pyav reader, which keeps count of damaged frames"
_EXACT_FORMATS = {"mov", "mp4", "matroska", "webm", "flv"}


class DecordReader(VideoReader):
    """Frames in batches, in order, never by seeking: after a seek, decord may return wrong frames.

    decord counts packets, including frames hidden by an edit list (with negative times). For each of those it repeats
    the last frame at the end; these repeats are left out. It may wait forever for a frame that never comes, and it
    stops at the first damaged packet: both become a DataError. In AVI files and MPEG streams it silently drops and
    doubles frames, so these formats are refused.
    """

    def __init__(self, path: Path, square_pixels: bool = True) -> None:
        with open_container(path) as container:
            stream, about_streams = choose_stream(container)
            header = read_header(stream, path)
            if not _EXACT_FORMATS & set(container.format.name.split(",")):
                what = f"decord does not return every frame of this format ({container.format.name})"
                raise DataError(f"{path}: {what}; use the pyav reader, which does")
            if about_streams:
                raise DataError(f"{path}: {about_streams}; decord cannot choose one, the pyav reader can")
            orientation, aspect, notes = geometry_of(container, stream)
        decord.logging.set_level(decord.logging.QUIET)
        try:
            self._reader: Any = decord.VideoReader(str(path))
        except (decord.DECORDError, RuntimeError) as error:
            raise DataError(f"{path}: decord cannot open it, it may be cut off; {_ADVICE}") from error
        super().__init__(path, header)
        self.notes += notes if square_pixels else [note for note in notes if note == ROUNDED_TURN]
        self._orientation = orientation
        # decord turns the pictures itself, so that the pixels' two sides are exchanged where it turns by a quarter.
        self._aspect = Fraction(1) if not square_pixels else 1 / aspect if orientation.transpose else aspect
        times = np.sort(self._reader.get_frame_timestamp(list(range(len(self._reader))))[:, 0].astype(np.float64))
        self._times = times[times >= 0] + header.start_s
        self.hidden_frames = len(times) - len(self._times)

    def close(self) -> None:
        self._reader = None

    def _frames(self) -> Iterator[VideoFrame]:
        index = 0
        try:
            for image in ahead(self._pictures(), depth=1, timeout_s=_STALL_S):
                yield VideoFrame(index + 1, round(float(self._times[index]), 6), self._shown(image))
                index += 1
        except (decord.DECORDError, IndexError) as error:
            raise self._fault("stopped", index) from error
        except Stalled as error:
            raise self._fault(f"returned no frame for {_STALL_S:.0f} s", index) from error

    def _shown(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """decord turns by the angle of the display matrix and knows no mirror image."""
        orientation = self._orientation
        mirror = Orientation(mirror_x=orientation.transpose, mirror_y=not orientation.transpose)
        image = squared(image, self._aspect)
        return mirror(image) if orientation.is_mirror_image else image

    def _pictures(self) -> Iterator[NDArray[np.uint8]]:
        total = len(self._times)
        for start in range(0, total, _BATCH):
            yield from self._reader.get_batch(list(range(start, min(start + _BATCH, total)))).asnumpy()

    def _fault(self, what: str, delivered: int) -> DataError:
        return DataError(f"{self.path}: decord {what} after frame {delivered} of {len(self._times)}; {_ADVICE}")


READER = DecordReader
