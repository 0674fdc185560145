"""Small videos for the tests, written on the spot."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

FACE_BOX_XYXY = (81.0, 61.0, 174.0, 178.0)
"""Where YuNet sees the face of `portrait(256)`."""


def portrait(side: int = 160) -> NDArray[np.uint8]:
    """An RGB picture (side, side, 3) with one frontal face, from what scikit-image ships."""
    picture = data.astronaut()[0:256, 96:352]
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def portraits(num_frames: int, side: int = 160) -> list[NDArray[np.uint8]]:
    """The portrait, moving a little and growing brighter, so that no two frames are the same."""
    picture = portrait(side).astype(np.float32)
    return [np.clip(np.roll(picture, k % 8, axis=1) + k % 30, 0, 255).astype(np.uint8) for k in range(num_frames)]


def noise(num_frames: int, side: int = 96) -> list[NDArray[np.uint8]]:
    """Pictures without a face, hard to compress."""
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (side, side, 3), dtype=np.uint8) for _ in range(num_frames)]


def write_clip(path: Path, pictures: Iterable[NDArray[np.uint8]], fps: int = 25) -> Path:
    """H.264 in mp4 with the index in front, as videos for the web are, so that a cut-off file still decodes."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.pix_fmt = "yuv420p"
        for index, picture in enumerate(pictures):
            if index == 0:
                stream.height, stream.width = picture.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def cut_off(source: Path, target: Path, part: float) -> Path:
    """The first part of the file's bytes."""
    content = source.read_bytes()
    target.write_bytes(content[: int(len(content) * part)])
    return target


def corrupt(source: Path, target: Path, start: float, end: float) -> Path:
    """Random bytes from one part of the file to another."""
    content = bytearray(source.read_bytes())
    generator = random.Random(0)
    for position in range(int(len(content) * start), int(len(content) * end)):
        content[position] = generator.randrange(256)
    target.write_bytes(content)
    return target


def set_matrix(source: Path, target: Path, matrix: tuple[float, float, float, float]) -> Path:
    """The same mp4 with a display matrix (a, b, c, d): place (x, y) is shown at (ax + cy, bx + dy), moved into view."""
    content = bytearray(source.read_bytes())
    place = content.find(b"tkhd") + 44
    a, b, c, d = (round(value * 65536) for value in matrix)
    numbers = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    content[place : place + 36] = b"".join(number.to_bytes(4, "big", signed=True) for number in numbers)
    target.write_bytes(content)
    return target


def rotate_metadata(source: Path, target: Path, degrees: int = 90) -> Path:
    """The same mp4 with a display matrix that says: turn clockwise by 90, 180 or 270 degrees, as phones write it."""
    content = bytearray(source.read_bytes())
    matrix = content.find(b"tkhd") + 44
    width = int.from_bytes(content[matrix + 36 : matrix + 40], "big")
    height = int.from_bytes(content[matrix + 40 : matrix + 44], "big")
    one = 65536
    numbers = {
        90: (0, one, 0, -one, 0, 0, height, 0, 1 << 30),
        180: (-one, 0, 0, 0, -one, 0, width, height, 1 << 30),
        270: (0, -one, 0, one, 0, 0, 0, width, 1 << 30),
    }[degrees]
    content[matrix : matrix + 36] = b"".join(number.to_bytes(4, "big", signed=True) for number in numbers)
    target.write_bytes(content)
    return target
