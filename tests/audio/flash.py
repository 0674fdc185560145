"""Videos with a flash and a beep at the same moment, and faces stores of their frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
from av.stream import Disposition

from abaw.stores.faces import VIDEO_SCHEMA, FaceStore, open_faces, write_video_faces
from abaw.video.reading.registry import open_video

BEEP_S = 0.04
SIZE = 32
_TICK = Fraction(1, 90_000)


def write_flash(
    path: Path,
    times_s: Sequence[float],
    flash: int,
    *,
    fps: Fraction | None = None,
    codec: str | None = "aac",
    rate: int = 48_000,
    layout: str = "stereo",
    begin_s: float = 0.0,
    end_s: float | None = None,
    pitches: Sequence[int] = (1000,),
    default: int = 0,
    gap_s: tuple[float, float] | None = None,
) -> Path:
    """A dark video of the frames at `times_s`; the frame with index `flash` is white, and a beep of 40 ms begins there.

    fps: a constant frame rate, for containers that have no other. codec: of the sound, which lasts from begin_s to
    end_s except for gap_s; None for none. pitches: of the beeps in Hz, one track each; default: the flagged track.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4" if path.suffix == ".avi" else "libx264", rate=fps or 25)
        video.width = video.height = SIZE
        video.pix_fmt = "yuv420p"
        if fps is None:
            video.codec_context.time_base = _TICK
        pitches = pitches if codec else ()
        tracks = [container.add_stream(codec, rate=rate, layout=layout) for _ in pitches]
        for index, track in enumerate(tracks):
            track.disposition = Disposition.default if index == default else Disposition(0)
        for index, time_s in enumerate(times_s):
            picture = np.full((SIZE, SIZE, 3), 250 if index == flash else 20, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = (index, 1 / fps) if fps else (round(time_s / _TICK), _TICK)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        stop_s = times_s[-1] + BEEP_S if end_s is None else end_s
        for track, pitch in zip(tracks, pitches, strict=True):
            container.mux(_encoded(track, _beep(rate, begin_s, stop_s, times_s[flash], pitch), begin_s, gap_s))
    return path


def _beep(rate: int, begin_s: float, end_s: float, at_s: float, pitch: int) -> np.ndarray:
    times = np.arange(round(begin_s * rate), round(end_s * rate)) / rate
    loud = (times >= at_s) & (times < at_s + BEEP_S)
    return (0.5 * loud * np.sin(2 * np.pi * pitch * times)).astype(np.float32)


def _encoded(
    track: av.audio.AudioStream, wave: np.ndarray, begin_s: float, gap_s: tuple[float, float] | None
) -> Iterable[av.Packet]:
    rate = track.rate
    resampler = av.AudioResampler(track.format.name, track.layout.name, rate)
    packets: list[av.Packet] = []
    for at in range(0, len(wave), 1024):
        time_s = begin_s + at / rate
        if gap_s is not None and gap_s[0] <= time_s < gap_s[1]:
            continue
        frame = av.AudioFrame.from_ndarray(wave[None, at : at + 1024], "fltp", "mono")
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), round(begin_s * rate) + at
        for part in resampler.resample(frame):
            packets += track.encode(part)
    return [*packets, *track.encode()]


def flash_frame(path: Path) -> int:
    """The index of the brightest frame that is read."""
    with open_video(path) as frames:
        return int(np.argmax([frame.image.mean() for frame in frames if frame.image is not None]))


def faces_of(video: Path, folder: Path, names: Sequence[str] = (), with_times: bool = True) -> list[FaceStore]:
    """Faces stores without faces, with the times of the video's frames. names: of the subjects."""
    with open_video(video) as frames:
        times = [frame.time_s for frame in frames]
    given = {"frame": pa.array(range(1, len(times) + 1), pa.int32())}
    if with_times:
        given["time_s"] = pa.array(times, pa.float64())
    columns = [given.get(field.name, pa.nulls(len(times), field.type)) for field in VIDEO_SCHEMA]
    stores = []
    for name in names or (video.stem,):
        path = folder / f"{name}.arrow"
        write_video_faces(path, [pa.record_batch(columns, schema=VIDEO_SCHEMA)], {"fps": 25.0, "fingerprint": name})
        stores.append(open_faces(path))
    return stores
