"""Lifelike clips: what moves, what is held, and that classes and labels stay right."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from abaw.protocol.classes import NUM_EXPRESSIONS

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))  # scripts, not a package

from flipbook_clips import CLASS_FRAMES, FPS, Book, Timeline
from flipbook_stills import Still
from lifelike_clips import Life, Series, draw_life, life_crops, life_maker

STILL = Life(book=Book(dropped=0.0), sway=(0, 0, 0, 0), light=(0, 0), talking=0.0, held=1.0, dissolved=0.0)
"""Nothing moves, and each segment shows one still."""


def _face(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).uniform(0, 255, (6, 6)).astype(np.float32)
    return np.clip(cv2.resize(coarse, (48, 48), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


STILLS = [Still(f"{seed}.png", seed % NUM_EXPRESSIONS, _face(seed)) for seed in range(80)]


def _images(life: Life, timeline: Timeline, stills: list[Still] = STILLS, seed: int = 0) -> np.ndarray:
    frames = life_crops(timeline, Series(stills, life), life, np.random.default_rng(seed))
    return np.stack([cv2.imdecode(np.frombuffer(jpeg or b"", np.uint8), 0) for jpeg in frames]).astype(float)


def _timeline(*segments: tuple[int, int]) -> Timeline:
    """segments: class and frames."""
    shown = np.concatenate([np.full(length, label, np.int8) for label, length in segments])
    return Timeline(shown, shown, np.ones(len(shown), bool))


def _steps(images: np.ndarray) -> np.ndarray:
    return np.abs(np.diff(images, axis=0)).mean(axis=(1, 2))


def test_brief_segments_last_half_a_second_and_more() -> None:
    life = replace(STILL, brief=1.0)
    lengths = np.concatenate(
        [
            np.diff(np.flatnonzero(np.diff(draw_life(CLASS_FRAMES["Train_Set"], life, rng).shown)))
            for rng in map(np.random.default_rng, range(20))
        ]
    )
    assert lengths.max() <= 1.5 * FPS
    assert np.mean(lengths >= 0.5 * FPS) > 0.95


def test_labels_change_as_often_as_the_face_and_not_much_later() -> None:
    timeline = draw_life(CLASS_FRAMES["Train_Set"], Life(), np.random.default_rng(1))
    assert len(timeline.shown) == len(timeline.labels) == len(timeline.face)
    assert (timeline.shown == timeline.labels).mean() > 0.8


def test_a_held_face_does_not_change_unless_it_moves() -> None:
    timeline = _timeline((0, 40), (4, 40))
    steps = _steps(_images(STILL, timeline))
    assert np.flatnonzero(steps).tolist() == [39]
    moving = _steps(_images(replace(STILL, sway=Life().sway, light=Life().light), timeline))
    assert (moving > 0).all() and np.median(moving) < moving[39] / 2


def test_sway_stays_around_the_middle() -> None:
    life = replace(STILL, light=(0.1, 0.0))
    bright = np.array([_images(life, _timeline((0, 90)), seed=seed).mean(axis=(1, 2)) for seed in range(12)])
    plain = _images(STILL, _timeline((0, 1)), seed=0).mean()
    ratio = bright / bright.mean()
    assert 0.04 < ratio.std() < 0.2 and plain > 0


def test_two_stills_of_a_series_morph_and_others_cut() -> None:
    one = _face(1)
    other = np.clip(0.7 * one.astype(float) + 0.3 * _face(2), 0, 255).astype(np.uint8)
    likeness = np.corrcoef(cv2.resize(one, (12, 12)).ravel(), cv2.resize(other, (12, 12)).ravel())[0, 1]
    life = replace(STILL, alike=(likeness - 0.1, 0.999), morph_s=(0.3, 0.3))
    stills = [Still("a", 0, one), Still("b", 4, other), *(Still(f"c{n}", 4, _face(50 + n)) for n in range(5))]
    series = Series(stills, life)
    rng = np.random.default_rng(0)
    assert {series.next(stills[0], 4, rng)[0].name for _ in range(10)} == {"b"}
    steps = _steps(_images(life, _timeline((0, 20), (4, 20)), stills))
    assert np.count_nonzero(steps > 0.2) >= 8
    strangers = replace(life, alike=(0.9999, 1.0))
    assert np.count_nonzero(_steps(_images(strangers, _timeline((0, 20), (4, 20)), stills))) == 1


def test_only_the_mouth_moves_when_talking() -> None:
    images = _images(replace(STILL, talking=1.0), _timeline((0, 90)))
    change = np.abs(images - images[:1]).max(axis=0)
    assert change[:50].max() < 12 < change[75:105, 40:72].max()
    changes = np.count_nonzero(_steps(images) > 0.3)
    assert 90 / FPS / 0.25 * 0.4 <= changes <= 90 / FPS / 0.1


@pytest.mark.parametrize("seed", [0, 1])
def test_a_seed_gives_the_same_clip(seed: int) -> None:
    make = life_maker(STILLS, Life(book=Book(clip=(60, 60))))
    drawn = []
    for _ in range(2):
        timeline, images = make(CLASS_FRAMES["Train_Set"], np.random.default_rng(seed))
        drawn.append((timeline.labels.tolist(), list(images)))
    assert drawn[0] == drawn[1]
    assert [image is not None for image in drawn[0][1]] == timeline.face.tolist()
