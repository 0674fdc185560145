"""Videos whose frames carry their number as a bar code in the picture, to identify each decoded frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

BITS = 10
BAR = 16
WIDTH, HEIGHT = BITS * BAR, 96
FPS = 25
_MILLISECOND = Fraction(1, 1000)


def numbered_picture(number: int) -> NDArray[np.uint8]:
    """RGB (HEIGHT, WIDTH, 3): one bar a bit in the upper half, white for 1, over a pattern that moves."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    picture[..., 0] = (rows * 3 + columns + 5 * number) % 200 + 20
    picture[..., 1] = (rows + 2 * columns + 3 * number) % 160 + 40
    for bit in range(BITS):
        picture[: HEIGHT // 2, bit * BAR : (bit + 1) * BAR] = 235 if number >> bit & 1 else 20
    return picture


def number_of(image: NDArray[np.uint8]) -> int:
    """The number that `numbered_picture` drew."""
    bars = image[8 : HEIGHT // 2 - 8].reshape(-1, BITS, BAR, 3)[:, :, 4:-4].mean(axis=(0, 2, 3))
    return sum(1 << bit for bit in range(BITS) if bars[bit] > 128)


def write_numbered(
    path: Path,
    count: int,
    codec: str = "libx264",
    times_ms: Sequence[int] | None = None,
    options: Mapping[str, str] | None = None,
    pix_fmt: str = "yuv420p",
    colorspace: int | None = None,
) -> Path:
    """Frames 1 to `count`, at a constant rate or at the given times. colorspace: as H.273 numbers them."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=FPS, options=dict(options or {}))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pix_fmt
        if colorspace is not None:
            stream.codec_context.colorspace = colorspace
        if times_ms is not None:
            stream.codec_context.time_base = _MILLISECOND
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(numbered_picture(index + 1), format="rgb24")
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[index], _MILLISECOND
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def shift_before_start(source: Path, target: Path, frames: int) -> Path:
    """The same mp4 with its first frames at times below zero, which an edit list hides."""
    with (
        av.open(str(source)) as read,
        av.open(str(target), "w", options={"use_editlist": "1", "avoid_negative_ts": "disabled"}) as written,
    ):
        stream = read.streams.video[0]
        copy = written.add_stream_from_template(stream)
        for packet in read.demux(stream):
            if packet.dts is None or packet.pts is None:
                continue
            shift = round(frames / FPS / packet.time_base)
            packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, copy
            written.mux(packet)
    return target
