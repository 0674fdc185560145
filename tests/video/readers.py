"""The readers that can be used on this machine, and a video read from end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from abaw.core.errors import ConfigError
from abaw.video.reading.frames import VideoFrame, VideoReader
from abaw.video.reading.registry import READERS, open_video
from abaw.video.reading.torchcodec import load_decoder


def loads(reader: str) -> bool:
    """False for the optional reader where it is not installed or not loadable."""
    if reader != "torchcodec":
        return True
    try:
        load_decoder()
    except ConfigError:
        return False
    return True


READERS_HERE = [
    pytest.param(name, marks=pytest.mark.skipif(not loads(name), reason="cannot be loaded")) for name in READERS
]
OTHERS_HERE = [param for param in READERS_HERE if param.values != ("pyav",)]


def read(path: Path, reader: str = "pyav") -> tuple[list[VideoFrame], VideoReader]:
    with open_video(path, reader) as video:
        return list(video), video


def picture(frame: VideoFrame) -> NDArray[np.uint8]:
    assert frame.image is not None, frame.fault
    return frame.image
