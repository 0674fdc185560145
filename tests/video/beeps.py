"""Videos with a beep, and where it is heard."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray

from tests.video.numbered import FPS, HEIGHT, WIDTH, numbered_picture

RATE = 48_000
FRAME_S = 1 / FPS


def write_with_sound(
    path: Path,
    num_frames: int,
    beep_s: float,
    *,
    codec: str = "aac",
    rate: int = RATE,
    begin_s: float = 0.0,
    end_s: float | None = None,
    first_frame_s: float = 0.0,
    pitches: tuple[int, ...] = (1000,),
    default: int = 0,
    video_codec: str = "libx264",
    channels: str = "stereo",
) -> Path:
    """A video whose sound is silent but for a beep of 0.1 s at `beep_s`. One track for each pitch in Hz."""
    end_s = num_frames * FRAME_S if end_s is None else end_s
    times = np.arange(round(begin_s * rate), round(end_s * rate)) / rate
    with av.open(str(path), "w") as container:
        video = container.add_stream(video_codec, rate=FPS)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        tracks = [container.add_stream(codec, rate=rate, layout=channels) for _ in pitches]
        for index, track in enumerate(tracks):
            track.disposition = Disposition.default if index == default else Disposition(0)
        video.codec_context.time_base = Fraction(1, 1000)
        for index in range(num_frames):
            frame = av.VideoFrame.from_ndarray(numbered_picture(index + 1), format="rgb24")
            frame.pts, frame.time_base = round(1000 * (first_frame_s + index * FRAME_S)), Fraction(1, 1000)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        for track, pitch in zip(tracks, pitches, strict=True):
            wave = np.sin(2 * np.pi * pitch * times) * ((times >= beep_s) & (times < beep_s + 0.1))
            samples = np.stack([wave * 0.5] * (1 if channels == "mono" else 2)).astype(np.float32)
            for at in range(0, samples.shape[1], 1024):
                part = np.ascontiguousarray(samples[:, at : at + 1024])
                sound = av.AudioFrame.from_ndarray(part, "fltp", channels)
                sound.sample_rate, sound.time_base = rate, Fraction(1, rate)
                sound.pts = round(begin_s * rate) + at
                container.mux(track.encode(sound))
            container.mux(track.encode())
    return path


def heard(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The first channel of the only sound track, (N,), and the time of every sample."""
    with av.open(str(path)) as container:
        (track,) = container.streams.audio
        resampler = av.AudioResampler("fltp", None, None)
        parts, times = [], []
        for frame in container.decode(track):
            for part in resampler.resample(frame):
                samples = part.to_ndarray()[0]
                parts.append(samples)
                times.append(frame.time + np.arange(len(samples)) / frame.sample_rate)
    return np.concatenate(parts), np.concatenate(times)


def beep_of(path: Path) -> tuple[float, float]:
    """When the beep begins, and its pitch in Hz."""
    samples, times = heard(path)
    loud = np.flatnonzero(np.abs(samples) > 0.2)
    part = samples[loud[0] : loud[-1] + 1]
    crossings = np.count_nonzero(np.diff(np.signbit(part)))
    return float(times[loud[0]]), crossings / 2 / float(times[loud[-1]] - times[loud[0]])


def codec_of(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [stream.codec_context.codec.canonical_name for stream in container.streams.audio]
