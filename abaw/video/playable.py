"""Whether a browser can play a file, frame for frame, and a copy that it can play."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from abaw.core.artifacts import atomic_path
from abaw.core.progress import Progress, silent
from abaw.protocol.layout import is_animated_webp
from abaw.video.encode import H264Writer
from abaw.video.reading.container import choose_stream, open_container
from abaw.video.reading.geometry import geometry_of
from abaw.video.reading.registry import open_video

_MP4 = frozenset({"h264", "av1", "vp9"})
_WEBM = frozenset({"vp8", "vp9", "av1"})
_PIXELS = frozenset({"yuv420p", "yuvj420p"})
_COPY_SIDE = 1280


def playable_mime(path: Path) -> str | None:
    """`video/mp4` or `video/webm` for a file that current browsers play as this program reads it, None for any other.

    Browsers differ in which of several streams they play, and in mirror images and pixels that are not square.
    """
    if is_animated_webp(path):
        return None
    with open_container(path) as container:
        stream, others = choose_stream(container)
        orientation, aspect, _ = geometry_of(container, stream)
        if others or aspect != 1 or orientation.is_mirror_image or not orientation.exact:
            return None
        codec, pixels, names = stream.codec_context.name, stream.codec_context.pix_fmt, container.format.name
    codec = {"libdav1d": "av1", "libvpx": "vp8", "libvpx-vp9": "vp9"}.get(codec, codec)
    if pixels not in _PIXELS:
        return None
    if "mp4" in names and codec in _MP4:
        return "video/mp4"
    return "video/webm" if path.suffix.lower() == ".webm" and codec in _WEBM else None


def write_playable(source: Path, target: Path, reader: str, progress: Progress = silent) -> None:
    """Every frame of `source` as H.264, with its sound; the file is complete or absent. Large pictures become smaller.

    A frame that cannot be decoded repeats the one before it, or is black before the first: frame numbers stay the same.
    """
    with (
        open_video(source, reader) as video,
        atomic_path(target) as temporary,
        H264Writer(temporary, video.fps, sound=source) as writer,
    ):
        last: NDArray[np.uint8] | None = None
        before: list[float] = []
        for frame in video:
            if frame.image is not None:
                last = _smaller(frame.image)
                for time_s in before:
                    writer.add(np.zeros_like(last), time_s)
                before.clear()
            if last is None:
                before.append(frame.time_s)
            else:
                writer.add(last, frame.time_s)
            progress(frame.index, video.header_frames)


def _smaller(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scale = _COPY_SIDE / max(image.shape[:2])
    if scale >= 1:
        return image
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
