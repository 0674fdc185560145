"""Decoded sound: one time line, whatever the file does to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from abaw.audio.decode import TimeLine, mono_chunks
from abaw.audio.track import NoSoundError, open_sound
from abaw.core.errors import DataError
from tests.audio.flash import write_flash

RATE = 16_000
TIMES = [0.04 * index for index in range(50)]


@pytest.mark.parametrize(
    ("begin_s", "missing", "new"),
    [(1.0, 0, 160), (1.015, 0, 160), (0.985, 0, 160), (1.5, 8000, 160), (0.5, 0, 0)],
    ids=["follows", "a little late", "a little early", "after a gap", "heard before"],
)
def test_pieces_are_placed_by_their_times(begin_s: float, missing: int, new: int) -> None:
    line = TimeLine(RATE, RATE)
    found, rest = line.place(np.ones((2, 160), np.float32), begin_s)
    assert (found, rest.shape[-1], line.end) == (missing, new, RATE + missing + new)


def test_of_an_overlapping_piece_the_new_part_is_kept() -> None:
    line = TimeLine(RATE, RATE)
    _, rest = line.place(np.arange(8000, dtype=np.float32), 0.75)
    assert rest[0] == 4000 and line.end == RATE + 4000


@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1"])
def test_chunks_follow_one_another_and_are_as_loud_as_the_source(tmp_path: Path, layout: str) -> None:
    video = write_flash(tmp_path / "clip.mkv", TIMES, 20, codec="flac", rate=44_100, layout=layout)
    with open_sound(video) as sound:
        chunks = list(mono_chunks(sound, RATE))
    assert chunks[0].begin == 0 and chunks[-1].end == pytest.approx(2.0 * RATE, abs=0.01 * RATE)
    assert all(before.end == after.begin for before, after in zip(chunks, chunks[1:], strict=False))
    samples = np.concatenate([chunk.samples for chunk in chunks])
    assert samples.dtype == np.float32 and np.abs(samples).max() == pytest.approx(0.5, rel=0.3)


def test_a_short_gap_is_silence_and_a_long_one_has_no_sound(tmp_path: Path) -> None:
    with open_sound(write_flash(tmp_path / "short.mkv", TIMES, 40, codec="flac", gap_s=(0.5, 0.6))) as sound:
        chunks = list(mono_chunks(sound, RATE))
    assert all(before.end == after.begin for before, after in zip(chunks, chunks[1:], strict=False))
    with open_sound(write_flash(tmp_path / "long.mkv", TIMES, 40, codec="flac", gap_s=(0.5, 1.0))) as sound:
        chunks = list(mono_chunks(sound, RATE))
    gaps = [after.begin - before.end for before, after in zip(chunks, chunks[1:], strict=False)]
    assert [gap / RATE for gap in gaps if gap] == [pytest.approx(0.5, abs=0.05)]


def test_what_a_video_lacks_is_named(tmp_path: Path) -> None:
    silent = write_flash(tmp_path / "silent.mp4", TIMES, 20, codec=None)
    with pytest.raises(NoSoundError, match=r"silent\.mp4: it has no sound track"):
        open_sound(silent)
    with pytest.raises(DataError, match="has no sound track 3; it has 1, numbered from 1"):
        open_sound(write_flash(tmp_path / "one.mp4", TIMES, 20), track=3)
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(DataError, match=r"text\.mp4: is not a video"):
        open_sound(tmp_path / "text.mp4")


def test_damaged_sound_is_kept_up_to_the_damage_and_after_it(tmp_path: Path) -> None:
    video = write_flash(tmp_path / "clip.mkv", TIMES, 20, codec="ac3")
    content = bytearray(video.read_bytes())
    for at in np.random.default_rng(0).integers(len(content) // 2, len(content), 100):
        content[at] ^= 255
    video.write_bytes(content)
    with open_sound(video) as sound:
        chunks = list(mono_chunks(sound, RATE))
    assert chunks[0].begin == pytest.approx(0, abs=0.01 * RATE)
    assert 0.5 * RATE < chunks[-1].end < 2.2 * RATE
    assert all(np.isfinite(chunk.samples).all() for chunk in chunks)
