"""Training clips for a temporal model, made of the static model's logits for stills, without drawing their frames.

A clip of pictures needs one run of the static model per frame. Here each still is run a few times, in several poses,
and clips are put together from these logits: any number of clips, with all stills of a class, at hardly any cost. They
have what a temporal model must know: faces that are held for long, stills that do not change at all, hard cuts,
dissolves, brief segments, missing faces, late labels. The timelines are those of the lifelike flip-book
(lifelike_clips.py).
Shapes: N stills, P poses, T time, C class.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from flipbook_clips import FPS, Book
from flipbook_stills import Still
from lifelike_clips import Life, Motion, draw_life
from numpy.typing import NDArray

from abaw.core.artifacts import value_hash
from abaw.data.clips import Clip, ClipSet
from abaw.extractors.registry import open_extractor
from abaw.inference.features import features_of_crops
from abaw.protocol.classes import NUM_EXPRESSIONS
from abaw.stores.sources import Source

_APART = 15
"""Frames of motion between the two ends of a pose."""
_AT_ONCE = 16
"""Stills in a batch of the static model."""

Logits = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LogitClips:
    """How the clips are made. Times in seconds.

    clips: their number; life: timelines, holds and dissolves; poses: how often each still is seen; frozen: share of
    clips that show one still, without any motion, for `frozen_s` seconds; natural: power of the class shares of the
    frames, 0 for equally frequent classes.
    """

    clips: int = 300
    life: Life = field(default_factory=lambda: Life(book=Book(clip=(300, 900))))
    poses: int = 3
    frozen: float = 0.3
    frozen_s: float = 7.0
    natural: float = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """The static model's logits of stills: by class, (N, P, 2, C) at both ends of the motion of each pose."""

    by_class: Sequence[Logits]
    source: Source
    trained_on: tuple[str, ...]


def see(static: Path, stills: Sequence[Still], options: LogitClips, work: Path) -> Seen:
    """Run the static model on every still in all its poses, once: the logits stay in `work`."""
    extractor = open_extractor(static, "cpu", threads=torch.get_num_threads(), outputs="logits")
    names = [still.name for still in stills]
    path = work / f"seen-{value_hash([extractor.source, names, options.poses, asdict(options.life)])}.npy"
    if not path.exists():
        rng = np.random.default_rng(0)
        parts = [stills[start : start + _AT_ONCE] for start in range(0, len(stills), _AT_ONCE)]
        logits = [
            features_of_crops((crop for still in part for crop in _posed(still, options, rng)), extractor)
            for part in parts
        ]
        work.mkdir(parents=True, exist_ok=True)
        np.save(path, np.concatenate(logits).reshape(len(stills), options.poses, 2, NUM_EXPRESSIONS))
    found, labels = np.load(path).astype(np.float32), np.array([still.label for still in stills])
    source = Source("logits", extractor.source, NUM_EXPRESSIONS)
    return Seen([found[labels == label] for label in range(NUM_EXPRESSIONS)], source, tuple(extractor.trained_on))


def _posed(still: Still, options: LogitClips, rng: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    face = still.pixels.astype(np.float32)
    for _ in range(options.poses):
        motion = Motion(options.life, rng)
        yield motion.draw(face)
        for _ in range(_APART):
            motion.step()
        yield motion.draw(face)


def logit_clips(seen: Seen, shares: Sequence[float], options: LogitClips, seed: int) -> ClipSet:
    """shares: natural class shares of the frames. Classes without a still do not occur."""
    rng = np.random.default_rng([seed, 12])
    there = np.array([len(each) > 0 for each in seen.by_class])
    powered = np.where(there, np.maximum(np.array(shares, dtype=float), 1e-9) ** options.natural, 1e-12)
    drawn = (powered / powered.sum()).tolist()
    clips = [_clip(f"logits{index:04d}", seen, drawn, options, rng) for index in range(options.clips)]
    return ClipSet(tuple(clips), (seen.source,), (seen.trained_on,))


def _clip(name: str, seen: Seen, shares: Sequence[float], options: LogitClips, rng: np.random.Generator) -> Clip:
    if rng.random() < options.frozen:
        label = int(rng.choice(NUM_EXPRESSIONS, p=shares))
        frames = round(options.frozen_s * FPS)
        logits = np.repeat(_pose(seen.by_class[label], rng)[:1], frames, axis=0)
        labels, face = np.full(frames, label, np.int8), np.ones(frames, dtype=bool)
    else:
        timeline = draw_life(shares, options.life, rng)
        labels, face = timeline.labels, timeline.face
        logits = _frames(timeline.shown, seen, options.life, rng)
    features = np.where(face[:, None], logits, 0).astype(np.float16)
    return Clip(name, features, face[:, None], face, labels, fps=FPS)


def _frames(shown: NDArray[np.int8], seen: Seen, life: Life, rng: np.random.Generator) -> Logits:
    """The logits of every frame, (T, C)."""
    borders = np.concatenate([[0], np.flatnonzero(np.diff(shown)) + 1, [len(shown)]])
    frames = np.empty((len(shown), NUM_EXPRESSIONS), np.float32)
    for start, end in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True):
        stills = seen.by_class[int(shown[start])]
        held, quick = rng.random() < life.held / 2, rng.random() < 0.5
        # A segment repeats a few stills, half of the time in quick turns as in the old flip-book.
        cast = stills[rng.integers(len(stills), size=rng.integers(life.book.cast[0], life.book.cast[1] + 1))]
        place = start
        while place < end:
            turn = rng.integers(life.book.hold[0], life.book.hold[1] + 1) if quick else _in_frames(life.hold_s, rng)
            stop = end if held else min(end, place + int(turn))
            frames[place:stop] = _moving(_pose(cast, rng), stop - place, life, rng)
            if place and rng.random() < life.dissolved / 2:
                _dissolve(frames, place, min(stop, place + _in_frames(life.morph_s, rng)))
            place = stop
    return frames


def _pose(stills: Logits, rng: np.random.Generator) -> Logits:
    """Both ends of a pose of a still, (2, C)."""
    ends: Logits = stills[rng.integers(len(stills)), rng.integers(stills.shape[1])]
    return ends


def _moving(ends: Logits, frames: int, life: Life, rng: np.random.Generator) -> Logits:
    """A face that moves between the two ends of its pose, (T, C)."""
    keep = float(np.exp(-1 / (life.calm_s * FPS)))
    noise = rng.standard_normal(frames) * np.sqrt(1 - keep**2)
    place = np.empty(frames)
    state = rng.standard_normal()
    for index in range(frames):
        state = keep * state + noise[index]
        place[index] = state
    share = np.clip(0.5 + 0.5 * place, -0.25, 1.25)[:, None]
    return ((1 - share) * ends[0] + share * ends[1]).astype(np.float32)


def _dissolve(frames: Logits, start: int, stop: int) -> None:
    """Blend the first frames after a change with the frame before it."""
    share = (np.arange(1, stop - start + 1) / (stop - start + 1))[:, None]
    frames[start:stop] = (1 - share) * frames[start - 1] + share * frames[start:stop]


def _in_frames(seconds: tuple[float, float], rng: np.random.Generator) -> int:
    return max(1, round(rng.uniform(*seconds) * FPS))
