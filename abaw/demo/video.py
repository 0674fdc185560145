"""Writes frames and sound to an H.264 file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

from abaw.core.artifacts import atomic_path
from abaw.demo.render import Image
from abaw.demo.sound import RATE, Samples

_CONTAINERS = {".mp4": "mp4", ".avi": "avi"}
_SOUND_CODECS = {".mp4": "aac", ".avi": "pcm_s16le"}
_BIT_RATE = 64_000
_SAMPLES = 1024
"""Samples per frame of sound."""


def write_h264(path: Path, frames: Iterable[Image], size_wh: tuple[int, int], fps: int, sound: Samples) -> None:
    """Encode RGB frames (H, W, 3) and mono sound (N,) to `path`, in the container of its suffix. The file is complete
    or absent.

    One encoder thread and no B-frames: the same frames give the same bytes on any number of cores, and an .avi keeps
    the order of its frames.
    """
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format=_CONTAINERS[path.suffix]) as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height = size_wh
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "superfast", "crf": "25", "bf": "0", "threads": "1"}
        track = container.add_stream(_SOUND_CODECS[path.suffix], rate=RATE, layout="mono")
        assert isinstance(track, AudioStream)
        if path.suffix == ".mp4":
            track.bit_rate = _BIT_RATE
        for frame in _sound_frames(sound):
            container.mux(track.encode(frame))
        container.mux(track.encode())
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def _sound_frames(sound: Samples) -> Iterator[AudioFrame]:
    whole = (32767 * sound).round().astype("int16")
    for start in range(0, len(whole), _SAMPLES):
        frame = AudioFrame.from_ndarray(whole[None, start : start + _SAMPLES], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        yield frame
