"""Speed of `abaw predict` from stored features, and whether its memory grows with the number of videos.

    python benchmarks/predict.py [--videos 40] [--frames 5000] [--threads 2]

The script makes feature stores of random numbers and a temporal checkpoint of the default shape with random weights
(time does not depend on the values). It runs the command on a tenth of the videos and on all of them, each in a
separate process, and prints seconds, frames per second with and without the start of the process, and peak memory.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from abaw.models.sizes import TransformerSize
from abaw.models.temporal import build_temporal, temporal_spec
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.stores.checkpoints import save_checkpoint
from abaw.stores.features import feature_batch, write_features
from abaw.stores.sources import Source

WINDOW, HOP, FEATURE_DIM = 300, 200, 512
BACKBONE = "0" * 16


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--videos", type=int, default=40)
    parser.add_argument("--frames", type=int, default=5000, help="frames per video")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_checkpoint(root / "checkpoint")
        few = max(1, options.videos // 10)
        for name, videos in (("few", few), ("all", options.videos)):
            write_videos(root / name, videos, options.frames)
        print(f"default model, window {WINDOW}, hop {HOP}, {FEATURE_DIM} features, {options.threads} threads")
        seconds = {}
        for name, videos in (("few", few), ("all", options.videos)):
            seconds[name], megabytes = predict(root, name, options.threads)
            frames = videos * options.frames
            print(f"{videos} videos: {seconds[name]:.1f} s, {frames / seconds[name]:,.0f} frames/s, {megabytes:.0f} MB")
        more = (options.videos - few) * options.frames
        print(f"without the start (difference of the two): {more / (seconds['all'] - seconds['few']):,.0f} frames/s")


def write_checkpoint(folder: Path) -> None:
    spec = temporal_spec(
        TransformerSize(),
        window=WINDOW,
        hop=HOP,
        sources=(Source("features", BACKBONE, FEATURE_DIM),),
        classes=EXPRESSION_CLASSES,
        training={},
    )
    save_checkpoint(folder, spec, build_temporal(spec, seed=0).state_dict())


def write_videos(folder: Path, num_videos: int, num_frames: int) -> None:
    generator = np.random.default_rng(0)
    frames = np.arange(1, num_frames + 1, dtype=np.int32)
    for index in range(num_videos):
        features = generator.normal(size=(num_frames, FEATURE_DIM)).astype(np.float16)
        valid = generator.random(num_frames) < 0.95
        write_features(
            folder / f"video{index}.arrow",
            FEATURE_DIM,
            [feature_batch(frames, valid, features)],
            {"backbone": BACKBONE, "fps": 30.0},
        )


def predict(root: Path, name: str, threads: int) -> tuple[float, float]:
    command = [sys.executable, "-m", "pipelines.cli", "predict", "--accelerator", "cpu", "--workers", "1"]
    command += ["--features", str(root / name), "--checkpoint", str(root / "checkpoint")]
    return seconds_of([*command, "--out", str(root / f"predictions_{name}")], threads)


def seconds_of(command: list[str], threads: int) -> tuple[float, float]:
    """Wall seconds and peak memory in MB of a process. Ends the benchmark when the process fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stderr is not None
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{errors.decode()}")
    return time.perf_counter() - begun, peak_megabytes(usage)


def peak_megabytes(usage: resource.struct_rusage) -> float:
    """Peak memory in MB: Linux reports kilobytes, macOS bytes."""
    return usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


if __name__ == "__main__":
    main()
