"""What a person does in a video: expressions with onset and offset, speech, blinks, head motion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from abaw.demo.cast import Labels, cut
from abaw.demo.expression import ACTIONS, perform
from abaw.protocol.classes import NUM_EXPRESSIONS

Track = npt.NDArray[np.float32]

_COLUMN = {name: index for index, name in enumerate(ACTIONS)}
_MAX_YAW = 34.0


@dataclass(frozen=True, slots=True)
class Performance:
    """One person over T frames.

    labels: (T,) the class shown. actions: (T, len(ACTIONS)). yaw, pitch, roll: (T,) degrees. shift_xy: (T, 2) motion of
    the head in head units. zoom: (T,) factor on the size. gaze_xy: (T, 2) head units.
    """

    labels: Labels
    actions: Track
    yaw: Track
    pitch: Track
    roll: Track
    shift_xy: Track
    zoom: Track
    gaze_xy: Track


def perform_segments(classes: npt.NDArray[np.int8], num_frames: int, fps: int, rng: np.random.Generator) -> Performance:
    """Show the classes one after another over `num_frames` frames; the label changes in the middle of each onset."""
    bounds = cut(num_frames, len(classes), rng)
    labels = np.repeat(classes, np.diff(bounds)).astype(np.int8)
    acts = _expressions(classes, bounds, num_frames, fps, rng)
    _flash(acts, fps, rng)
    _speak(acts, fps, rng)
    _blink(acts, fps, rng)
    yaw = rng.uniform(-12, 12) + 9.0 * wander(num_frames, 0.8 * fps, rng) + _turns(num_frames, fps, rng)
    return Performance(
        labels=labels,
        actions=np.clip(acts, 0.0, 1.1).astype(np.float32),
        yaw=np.clip(yaw, -_MAX_YAW, _MAX_YAW).astype(np.float32),
        pitch=(rng.uniform(-4, 4) + 4.0 * wander(num_frames, 0.6 * fps, rng)).astype(np.float32),
        roll=(rng.uniform(-4, 4) + 3.5 * wander(num_frames, 0.8 * fps, rng)).astype(np.float32),
        shift_xy=np.stack([0.07 * wander(num_frames, 0.8 * fps, rng), 0.04 * wander(num_frames, 0.7 * fps, rng)], 1),
        zoom=(1.0 + 0.03 * wander(num_frames, 1.5 * fps, rng)).astype(np.float32),
        gaze_xy=np.stack([0.018 * wander(num_frames, 4, rng), 0.006 * wander(num_frames, 4, rng)], 1),
    )


def wander(num_frames: int, sigma: float, rng: np.random.Generator) -> Track:
    """Smooth noise of unit variance that changes over about `sigma` frames, (T,)."""
    margin = int(4 * sigma) + 1
    noise = gaussian_filter1d(rng.standard_normal(num_frames + 2 * margin), sigma)[margin : margin + num_frames]
    return np.asarray(noise * np.sqrt(2.0 * np.sqrt(np.pi) * sigma), np.float32)


def _expressions(
    classes: npt.NDArray[np.int8], bounds: npt.NDArray[np.int64], num_frames: int, fps: int, rng: np.random.Generator
) -> Track:
    """Each segment's expression with varying strength, blended into the next around the border, (T, actions)."""
    frames = np.arange(num_frames)
    total = np.zeros((num_frames, len(ACTIONS)), np.float32)
    ramps = [_ramp(frames, bound, fps * rng.uniform(0.2, 0.45)) for bound in bounds[1:-1]]
    ramps = [np.ones(num_frames), *ramps, np.zeros(num_frames)]
    for index, label in enumerate(classes):
        present = ramps[index] * (1.0 - ramps[index + 1]) if index + 1 < len(classes) else ramps[index]
        strength = np.clip(rng.uniform(0.6, 0.95) + 0.4 * wander(num_frames, 0.15 * fps, rng), 0.0, 1.0)
        total += (present * strength)[:, None] * perform(int(label), 1.0, rng)
    return total


def _ramp(frames: npt.NDArray[np.int64], centre: int, half: float) -> npt.NDArray[np.float64]:
    along = np.clip((frames - centre + half) / (2 * half), 0.0, 1.0)
    return np.asarray(along * along * (3.0 - 2.0 * along))


def _flash(acts: Track, fps: int, rng: np.random.Generator) -> None:
    """Show another expression for a fraction of a second, so a single frame does not always show its label."""
    for start in _moments(len(acts), 1.2 * fps, rng):
        length = int(fps * rng.uniform(0.15, 0.35))
        window = np.hanning(length + 2)[1:-1, None].astype(np.float32)
        part = acts[start : start + length]
        other = perform(int(rng.integers(NUM_EXPRESSIONS)), float(rng.uniform(0.4, 0.8)), rng)
        part += window[: len(part)] * (other - 0.8 * part)


def _speak(acts: Track, fps: int, rng: np.random.Generator) -> None:
    """Talk at random times: lips and jaw move at a few syllables per second."""
    for start in _moments(len(acts), 4.0 * fps, rng):
        length = int(fps * rng.uniform(0.8, 2.2))
        part = acts[start : start + length]
        time = np.arange(len(part)) / fps
        syllables = np.abs(np.sin(np.pi * rng.uniform(2.5, 4.5) * time + rng.uniform(0, 3)))
        loudness = np.sin(np.pi * (np.arange(len(part)) + 1) / (length + 1)) * rng.uniform(0.35, 0.6)
        part[:, _COLUMN["part"]] += syllables * loudness
        part[:, _COLUMN["jaw_drop"]] += 0.6 * syllables * loudness
        part[:, _COLUMN["stretch"]] += 0.4 * loudness * np.abs(np.sin(7.3 * time))


def _blink(acts: Track, fps: int, rng: np.random.Generator) -> None:
    for start in _moments(len(acts), 2.5 * fps, rng):
        lids = np.asarray([0.5, 1.0, 0.9, 0.4], np.float32)[: len(acts) - start]
        for side in ("close_left", "close_right"):
            column = acts[start : start + len(lids), _COLUMN[side]]
            np.maximum(column, lids, out=column)


def _turns(num_frames: int, fps: int, rng: np.random.Generator) -> Track:
    """Yaw in degrees, (T,): at random times the head turns half away and back."""
    yaw = np.zeros(num_frames, np.float32)
    for start in _moments(num_frames, 6.0 * fps, rng):
        length = int(fps * rng.uniform(1.0, 2.0))
        path = np.sin(np.pi * np.arange(length) / length) ** 0.7 * rng.uniform(18, 34) * rng.choice([-1, 1])
        yaw[start : start + length] += path[: num_frames - start]
    return yaw


def _moments(num_frames: int, mean_gap: float, rng: np.random.Generator) -> list[int]:
    """Random frames, `mean_gap` apart on average and at least 0.4 of it."""
    moments: list[int] = []
    at = float(rng.exponential(mean_gap))
    while at < num_frames - 4:
        moments.append(int(at))
        at += 0.4 * mean_gap + float(rng.exponential(0.6 * mean_gap))
    return moments
