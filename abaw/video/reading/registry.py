"""The readers by name. A reader is a module of this package with a `READER`; only READERS lists it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Final

from abaw.core.errors import ConfigError, DataError, nearest
from abaw.protocol.layout import is_animated_webp
from abaw.video.reading.frames import VideoReader

READERS: Final = ("pyav", "decord", "torchcodec")
STILL: Final = "still"
"""The reader of one still image as a video of one frame."""
_ANIMATION: Final = "animation"


@contextmanager
def open_video(path: Path, reader: str = "pyav", square_pixels: bool = True) -> Iterator[VideoReader]:
    """Open a video with one of READERS, or an image with STILL, and close it afterwards.

    Frames are shown as a player shows them: turned and mirrored as the file's display matrix says, and with square
    pixels unless `square_pixels` is False. An animated WebP, which FFmpeg cannot decode, has a separate reader.

    Raises ConfigError for any other reader, and DataError for a file that is not a video or not an image.
    """
    if reader not in (*READERS, STILL):
        raise ConfigError(f"no reader '{reader}'; choose one of {', '.join(READERS)}.{nearest(reader, READERS)}")
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if not path.is_file():
        raise DataError(f"{path}: is not a file (a folder, pipe or device); give a video file")
    if reader != STILL and is_animated_webp(path):
        reader = _ANIMATION
    # Loaded by name: every reader needs another library, and some are not installed everywhere.
    video: VideoReader = import_module(f"{__package__}.{reader}").READER(path, square_pixels)
    try:
        yield video
    finally:
        video.close()
