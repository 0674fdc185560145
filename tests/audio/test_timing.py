"""The sound of a beep is in the row of the frame that flashes with it, at every frame rate and for every codec."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from abaw.audio.options import SoundOptions
from abaw.audio.registry import open_model
from abaw.inference.sound import write_sound_features
from abaw.stores.features import FeatureStore, open_features
from tests.audio.flash import faces_of, flash_frame, write_flash

NUM_FRAMES, FLASH = 60, 37
NTSC_FILM, PAL, NTSC = Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001)
RATES: dict[str, Callable[[int], float]] = {
    "23.976": lambda index: float(index / NTSC_FILM),
    "25": lambda index: float(index / PAL),
    "29.97": lambda index: float(index / NTSC),
    "variable": lambda index: 0.04 * index + 0.03 * (index % 5) ** 2 / 16 + (0.3 if index > 20 else 0.0),
}


def times_of(name: str, start_s: float = 0.0) -> list[float]:
    return [start_s + RATES[name](index) for index in range(NUM_FRAMES)]


def features_of(video: Path, folder: Path, model: str = "logmel", **options: Any) -> FeatureStore:
    (store,) = faces_of(video, folder / "faces")
    write_sound_features(video, [store], open_model(model, SoundOptions()), (folder / "out").joinpath, **options)
    return open_features(folder / "out" / f"{video.stem}.arrow")


def loudest(features: FeatureStore, columns: slice = slice(0, 64)) -> int:
    """The index of the row with the highest mean over the columns, by default the energies of `logmel`."""
    levels = features.features().astype(np.float32)[:, columns].mean(axis=1)
    return int(np.argmax(np.where(features.valid, levels, -np.inf)))


@pytest.mark.parametrize("frame_rate", list(RATES))
@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("clip.mp4", "aac", 48_000),
        ("clip.mp4", "libmp3lame", 44_100),
        ("clip.mkv", "libopus", 48_000),
        ("clip.mov", "pcm_s16le", 44_100),
        ("clip.ts", "aac", 44_100),
    ],
)
def test_a_beep_is_in_the_row_of_its_flash(tmp_path: Path, name: str, codec: str, rate: int, frame_rate: str) -> None:
    video = write_flash(tmp_path / name, times_of(frame_rate), FLASH, codec=codec, rate=rate)
    assert flash_frame(video) == FLASH
    features = features_of(video, tmp_path)
    assert abs(loudest(features) - FLASH) <= 1
    assert features.valid[:-1].all()


@pytest.mark.parametrize("frame_rate", ["23.976", "25", "29.97"])
@pytest.mark.parametrize("codec", ["pcm_s16le", "libmp3lame"])
def test_an_avi_has_frame_rates_and_no_times(tmp_path: Path, codec: str, frame_rate: str) -> None:
    fps = {"23.976": NTSC_FILM, "25": PAL, "29.97": NTSC}[frame_rate]
    video = write_flash(tmp_path / "clip.avi", times_of(frame_rate), FLASH, fps=fps, codec=codec, rate=44_100)
    assert abs(loudest(features_of(video, tmp_path)) - FLASH) <= 1


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts"])
@pytest.mark.parametrize(
    ("picture_s", "sound_s"), [(0.0, 0.8), (0.52, 0.0), (2.0, 2.5)], ids=["late sound", "late picture", "both"]
)
def test_a_late_start_of_either_changes_no_time(tmp_path: Path, name: str, picture_s: float, sound_s: float) -> None:
    video = write_flash(tmp_path / name, times_of("25", picture_s), FLASH, begin_s=sound_s)
    features = features_of(video, tmp_path)
    assert abs(loudest(features) - FLASH) <= 1
    silent = round(max(0.0, sound_s - picture_s) * 25)
    assert np.flatnonzero(features.valid)[0] == pytest.approx(silent, abs=1), "frames before the sound have none"


@pytest.mark.parametrize(("rate", "layout"), [(8_000, "mono"), (16_000, "mono"), (44_100, "5.1"), (96_000, "stereo")])
def test_any_rate_and_number_of_channels(tmp_path: Path, rate: int, layout: str) -> None:
    video = write_flash(tmp_path / "clip.mkv", times_of("25"), FLASH, codec="flac", rate=rate, layout=layout)
    assert abs(loudest(features_of(video, tmp_path)) - FLASH) <= 1


def test_sound_may_be_missing_in_between_and_at_the_end(tmp_path: Path) -> None:
    video = write_flash(tmp_path / "clip.mkv", times_of("25"), FLASH, codec="flac", gap_s=(0.6, 1.0), end_s=2.0)
    features = features_of(video, tmp_path)
    assert abs(loudest(features) - FLASH) <= 1
    expected = np.ones(NUM_FRAMES, bool)
    expected[15:25] = expected[50:] = False
    assert (features.valid != expected).sum() <= 3
    assert (features.features()[~features.valid] == 0).all()


@pytest.mark.parametrize("default", [0, 1])
def test_the_default_track_is_read_unless_another_is_chosen(tmp_path: Path, default: int) -> None:
    video = write_flash(tmp_path / "clip.mkv", times_of("25"), FLASH, pitches=(500, 5000), default=default)
    models, bands = open_model("logmel", SoundOptions()), {}
    (faces,) = faces_of(video, tmp_path / "faces")
    for track in (None, 1, 2):
        report = write_sound_features(video, [faces], models, (tmp_path / str(track)).joinpath, track)
        assert report is not None and report.track == f"track {track or default + 1} of 2"
        rows = open_features(tmp_path / str(track) / "clip.arrow").features().astype(np.float32)
        bands[track] = int(rows[FLASH, :64].argmax())
    assert bands[1] < bands[2] and bands[None] == bands[default + 1]


def test_loudness_of_opensmile_is_in_the_row_of_the_flash(tmp_path: Path) -> None:
    pytest.importorskip("opensmile")
    video = write_flash(tmp_path / "clip.mp4", times_of("29.97"), FLASH)
    features = features_of(video, tmp_path, "opensmile:eGeMAPSv02")
    assert features.feature_dim == 25
    assert abs(loudest(features, slice(0, 1)) - FLASH) <= 1
