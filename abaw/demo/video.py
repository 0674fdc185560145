"""Writes frames to an H.264 file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import av

from abaw.core.artifacts import atomic_path
from abaw.demo.render import Image

_CONTAINERS = {".mp4": "mp4", ".avi": "avi"}


def write_h264(path: Path, frames: Iterable[Image], size_wh: tuple[int, int], fps: int) -> None:
    """Encode RGB frames (H, W, 3) to `path`, in the container of its suffix. The file is complete or absent.

    One encoder thread and no B-frames: the same frames give the same bytes on any number of cores, and an .avi keeps
    the order of its frames.
    """
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format=_CONTAINERS[path.suffix]) as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height = size_wh
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "superfast", "crf": "25", "bf": "0", "threads": "1"}
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
