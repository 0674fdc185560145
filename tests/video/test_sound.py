"""Sound of copies: the right track, at the right times, for as long as in the source."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from abaw.video.encode import H264Writer
from abaw.video.playable import write_playable
from abaw.video.reading.registry import open_video
from tests.video.beeps import FRAME_S, RATE, beep_of, codec_of, heard, write_with_sound
from tests.video.numbered import FPS, HEIGHT, WIDTH, numbered_picture


@pytest.mark.parametrize(
    ("name", "codec", "kept", "rate"),
    [
        ("clip.mp4", "aac", "aac", RATE),
        ("clip.mkv", "libmp3lame", "mp3", RATE),
        ("clip.ts", "aac", "aac", 44_100),
        ("clip.mkv", "libopus", "opus", RATE),
        ("clip.mkv", "ac3", "aac", RATE),
        ("clip.avi", "pcm_s16le", "aac", 8_000),
        ("clip.mkv", "pcm_s16le", "aac", 37_800),
    ],
)
def test_a_copy_keeps_the_sound_at_its_time(tmp_path: Path, name: str, codec: str, kept: str, rate: int) -> None:
    if codec.startswith("pcm"):
        source = write_with_sound(tmp_path / "first.mkv", 50, 1.2, codec="flac", rate=rate)
        source = _as_pcm(source, tmp_path / name)
    else:
        source = write_with_sound(tmp_path / name, 50, 1.2, codec=codec, rate=rate)
    write_playable(source, tmp_path / "copy.mp4", "pyav")
    assert codec_of(tmp_path / "copy.mp4") == [kept]
    with open_video(source) as video:
        first_s = next(iter(video)).time_s
    begin_s, pitch = beep_of(tmp_path / "copy.mp4")
    assert begin_s == pytest.approx(beep_of(source)[0] - first_s, abs=FRAME_S)
    assert pitch == pytest.approx(1000, rel=0.05)
    samples, times = heard(tmp_path / "copy.mp4")
    assert times[-1] == pytest.approx(2.0, abs=2 * FRAME_S)


def _as_pcm(source: Path, target: Path) -> Path:
    """The same video with uncompressed sound."""
    with av.open(str(source)) as container, av.open(str(target), "w") as output:
        video, sound = container.streams.video[0], container.streams.audio[0]
        pictures = output.add_stream("mpeg4", rate=FPS, options={"qscale": "2"})
        pictures.width, pictures.height, pictures.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        track = output.add_stream("pcm_s16le", rate=sound.rate, layout="stereo")
        resampler = av.AudioResampler("s16", "stereo", sound.rate)
        for frame in container.decode(video, sound):
            if isinstance(frame, av.VideoFrame):
                frame.pict_type = 0
                output.mux(pictures.encode(frame.reformat(format="yuv420p")))
            else:
                for part in resampler.resample(frame):
                    output.mux(track.encode(part))
        output.mux(pictures.encode())
        output.mux(track.encode())
    return target


@pytest.mark.parametrize("codec", ["aac", "ac3"])
@pytest.mark.parametrize(
    ("begin_s", "end_s", "first_frame_s"),
    [(0.8, 2.0, 0.0), (0.0, 3.5, 0.0), (0.0, 2.5, 0.52), (0.0, 1.4, 0.0)],
    ids=["late", "longer", "before the first picture", "shorter"],
)
def test_sound_that_begins_or_ends_elsewhere(
    tmp_path: Path, codec: str, begin_s: float, end_s: float, first_frame_s: float
) -> None:
    source = write_with_sound(
        *(tmp_path / "clip.mkv", 50, 1.2),
        codec=codec,
        begin_s=begin_s,
        end_s=end_s,
        first_frame_s=first_frame_s,
    )
    write_playable(source, tmp_path / "copy.mp4", "pyav")
    assert beep_of(tmp_path / "copy.mp4")[0] == pytest.approx(1.2 - first_frame_s, abs=FRAME_S)
    assert heard(tmp_path / "copy.mp4")[1][-1] == pytest.approx(end_s - first_frame_s, abs=2 * FRAME_S)
    with open_video(tmp_path / "copy.mp4") as video:
        times = [frame.time_s for frame in video]
    np.testing.assert_allclose(times, np.arange(50) * FRAME_S, atol=2e-3)


@pytest.mark.parametrize("default", [0, 1])
def test_of_several_tracks_the_default_is_kept(tmp_path: Path, default: int) -> None:
    source = write_with_sound(tmp_path / "clip.mkv", 50, 1.2, pitches=(1000, 3000), default=default)
    write_playable(source, tmp_path / "copy.mp4", "pyav")
    assert beep_of(tmp_path / "copy.mp4")[1] == pytest.approx((1000, 3000)[default], rel=0.05)


def test_mono_stays_mono(tmp_path: Path) -> None:
    source = write_with_sound(tmp_path / "clip.mkv", 50, 1.2, codec="ac3", channels="mono")
    write_playable(source, tmp_path / "copy.mp4", "pyav")
    with av.open(str(tmp_path / "copy.mp4")) as container:
        assert container.streams.audio[0].codec_context.channels == 1
    assert beep_of(tmp_path / "copy.mp4")[0] == pytest.approx(1.2, abs=FRAME_S)


def test_sound_found_after_the_probed_part(shared_cases: Path, tmp_path: Path) -> None:
    write_playable(shared_cases / "sound_later.flv", tmp_path / "copy.mp4", "pyav")
    assert len(codec_of(tmp_path / "copy.mp4")) == 1


def test_without_sound_there_is_none(tmp_path: Path) -> None:
    source = write_with_sound(tmp_path / "clip.mp4", 10, 0.1, pitches=())
    with H264Writer(tmp_path / "copy.mp4", FPS, sound=source) as writer:
        writer.add(numbered_picture(1), 0.0)
    assert codec_of(tmp_path / "copy.mp4") == []


def test_damaged_sound_ends_nothing(tmp_path: Path) -> None:
    source = write_with_sound(tmp_path / "clip.mkv", 50, 1.2, codec="ac3")
    content = bytearray(source.read_bytes())
    generator = np.random.default_rng(0)
    for at in generator.integers(len(content) // 2, len(content), 200):
        content[at] ^= 255
    source.write_bytes(content)
    write_playable(source, tmp_path / "copy.mp4", "pyav")
    with av.open(str(tmp_path / "copy.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 25
