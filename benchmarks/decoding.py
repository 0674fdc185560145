"""Time and memory of the hidden Markov passes and of their fit, for 300,000 frames of eight classes on one thread.

    OMP_NUM_THREADS=1 python benchmarks/decoding.py [--frames 300000]

Processor time, which other work on the machine hardly changes. Limits: 1 s per pass, 600 s for the fit of bias and
WEIGHT on all videos and without each of five folds; memory must not grow with the number of values that are tried.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from abaw.evaluation.pass_fit import PooledVideos
from abaw.protocol.classes import NUM_EXPRESSIONS
from abaw.sequence.hmm import count_transitions
from abaw.sequence.smooth import HMM_PASSES, Smoothing

FPS = 30.0
VIDEOS, FOLDS = 70, 5
PASS_SECONDS, FIT_SECONDS = 1.0, 600.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--frames", type=int, default=300_000)
    frames = parser.parse_args().frames
    probs, labels = made(frames, np.random.default_rng(0))
    transitions = count_transitions([labels], NUM_EXPRESSIONS, fps=FPS)
    parts = np.array_split(np.arange(frames), VIDEOS)
    for name in HMM_PASSES:
        smoothing = Smoothing(name, 0.1, transitions).biased(np.linspace(-1, 1, NUM_EXPRESSIONS))
        pass_seconds = min(seconds(partial(smoothing, probs)) for _ in range(3))
        pooled = PooledVideos()
        for number, part in enumerate(parts):
            pooled.add(probs[part], labels[part], number % FOLDS, FPS)
        before = peak_mb()
        fit_seconds = sum(seconds(partial(pooled.fit, smoothing, fold)) for fold in (None, *range(FOLDS)))
        print(
            f"{name}: pass {pass_seconds:.2f} s (limit {PASS_SECONDS:g}), fit with {FOLDS} folds {fit_seconds:.0f} s "
            f"(limit {FIT_SECONDS:g}), which adds {peak_mb() - before:.0f} MB to a peak of {before:.0f} MB"
        )


def made(frames: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Segments of 2 to 10 seconds, and probabilities with errors that last 25 frames."""
    lengths = rng.integers(2 * int(FPS), 10 * int(FPS), frames // 60)
    labels = np.repeat(rng.integers(0, NUM_EXPRESSIONS, len(lengths)), lengths)[:frames].astype(np.int8)
    errors = np.repeat(rng.normal(0, 1.2, (frames // 25 + 1, NUM_EXPRESSIONS)), 25, axis=0)[:frames]
    chances = np.exp(errors + rng.normal(0, 0.5, errors.shape) + 2 * np.eye(NUM_EXPRESSIONS)[labels])
    return (chances / chances.sum(axis=1, keepdims=True)).astype(np.float32), labels


def seconds(function: Callable[[], object]) -> float:
    begun = time.process_time()
    function()
    return time.process_time() - begun


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
