"""Damaged copies of videos: every picture that FFmpeg decodes has its row, in order, and no other row has a picture."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from av.error import FFmpegError
from numpy.typing import NDArray

from abaw.core.errors import AbawError
from abaw.video.reading.registry import open_video
from tests.video.clips import portraits

pytestmark = pytest.mark.slow
NUM_SEEDS = 40
CLIPS = {
    "x264.mp4": ("libx264", {"bf": "2"}),
    "xvid.avi": ("mpeg4", {"bf": "2"}),
    "x264.ts": ("libx264", {"bf": "2"}),
    "vp9.webm": ("libvpx-vp9", {"cpu-used": "8", "b": "200k"}),
    "short_groups.mkv": ("libx264", {"bf": "2", "g": "12"}),
}


def write(path: Path, codec: str, options: dict[str, str]) -> bytes:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 96, 96, "yuv420p"
        for picture in portraits(36, 96):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path.read_bytes()


def damaged(whole: bytes, name: str, seed: int) -> bytes:
    """Bits flipped, stretches cut out or zeroed, the tail cut off, the header or the index overwritten; by seed."""
    rng, data, kind = random.Random(f"{name}{seed}"), bytearray(whole), seed % 5
    if kind == 0:
        for _ in range(rng.choice([1, 5, 30])):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == 1:
        for _ in range(rng.choice([1, 3])):
            start = rng.randrange(len(data))
            del data[start : start + rng.choice([1, 17, 188, 1500])]
    elif kind == 2:
        for _ in range(3):
            start = rng.randrange(len(data))
            part = data[start : start + rng.choice([8, 200, 2000])]
            data[start : start + len(part)] = bytes(len(part))
    elif kind == 3:
        data = data[: rng.randrange(len(data) // 10, len(data))]
    else:
        for _ in range(6):
            first, end = rng.choice([(0, min(400, len(data))), (max(0, len(data) - 2500), len(data))])
            data[rng.randrange(first, end)] = rng.randrange(256)
    return bytes(data)


def decoded(path: Path) -> list[NDArray[np.uint8]]:
    """All pictures, with PyAV's own loop: what is refused is passed over."""
    pictures = []
    try:
        container = av.open(str(path), metadata_errors="replace")
    except FFmpegError:
        return []
    with container:
        if not container.streams.video:
            return []
        stream = container.streams.best("video")
        assert isinstance(stream, av.VideoStream)
        stream.thread_type = "NONE"  # the threads of a decoder change how it patches what is damaged
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except (StopIteration, IndexError):
                return pictures
            except FFmpegError:
                packet = None
            with suppress(FFmpegError):
                pictures += [frame.to_ndarray(format="rgb24") for frame in stream.decode(packet)]
            if packet is None:
                return pictures


@pytest.mark.parametrize("name", CLIPS)
def test_rows_with_a_picture_are_the_decoded_pictures(tmp_path: Path, name: str) -> None:
    whole = write(tmp_path / name, *CLIPS[name])
    refused = 0
    for seed in range(NUM_SEEDS):
        path = tmp_path / f"{seed}_{name}"
        path.write_bytes(damaged(whole, name, seed))
        expected = decoded(path)
        try:
            with open_video(path, square_pixels=False) as video:
                found = [frame.image for frame in video if frame.image is not None]
        except AbawError as error:
            assert not expected, f"seed {seed}: {error}"
            refused += 1
            continue
        assert len(found) == len(expected), f"seed {seed}"
        for mine, theirs in zip(found, expected, strict=True):
            if mine.shape == theirs.shape:  # a damaged header may turn the picture
                np.testing.assert_array_equal(mine, theirs, err_msg=f"seed {seed}")
        path.unlink()
    assert refused < NUM_SEEDS
