"""The overhead of `abaw ablate` over its training steps, and whether its memory grows with cells or workers.

    python benchmarks/ablate.py [--steps N] [--workers N] [--folder DIR]

Time: the command on a grid of 8 windows x 2 seeds, with synthetic features of 60 videos, from start to end, against

- the steps inside its cells, as measured by the cells: wall time x workers / sum of the cells' step seconds;
- the same steps in as many processes, which do nothing else and have the data in memory from the start:
  wall time / (sum of their step seconds / processes). This also shows what the cells lose by running in parallel;
- the same in processor time, for all processes of the command together, which other work on the machine hardly affects.

The ratios must be at most 2. Memory: larger features, few steps; the peak of proportional set sizes (Linux), in which
memory mapped by several processes counts once.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

WINDOWS = (50, 75, 100, 125, 150, 200, 250, 300)
SEEDS = (0, 1)
RATIO = 2.0
FLAGS = ["--learn.batch_size", "16", "--train.warmup_steps", "1", "--train.accelerator", "cpu"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="folder for the features (default: a temporary folder)")
    parser.add_argument("--steps", type=int, default=100, help="training steps per cell")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--skip_memory", action="store_true")
    parser.add_argument("--only_steps", nargs="+", metavar="WINDOW:SEED", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only_steps:
        print(*steps_alone(arguments.folder, arguments.only_steps, arguments.steps))
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        within = report_time(folder / "time", arguments.steps, arguments.workers)
        if not arguments.skip_memory:
            report_memory(folder / "memory", arguments.workers)
    return 0 if within else 1


def make_videos(root: Path, num_training: int, num_validation: int, num_frames: int, dim: int) -> int:
    """Write noisy features of segments of one class each, with labels. Returns their size in bytes."""
    from abaw.protocol.annotations import write_annotation
    from abaw.stores.features import feature_batch, write_features

    rng = np.random.default_rng(0)
    means = rng.normal(size=(8, dim)).astype(np.float32)
    for split, count in (("Train_Set", num_training), ("Validation_Set", num_validation)):
        for number in range(count):
            name = f"{split}{number:03d}"
            labels = np.repeat(rng.integers(8, size=num_frames // 30 + 1), 30)[:num_frames].astype(np.int8)
            features = means[labels] + 2 * rng.normal(size=(num_frames, dim)).astype(np.float32)
            batch = feature_batch(
                np.arange(1, num_frames + 1, dtype=np.int32),
                np.ones(num_frames, dtype=bool),
                features.astype(np.float16),
            )
            write_features(root / "features" / f"{name}.arrow", dim, [batch], {"backbone": "0" * 16, "fps": 30.0})
            write_annotation(root / "annotations" / split / f"{name}.txt", labels)
    return (num_training + num_validation) * num_frames * dim * 2


@dataclass(frozen=True)
class Sweep:
    """seconds: wall time of the command; processor_seconds: of all its processes.

    parent, worker, together: peaks of proportional set sizes in MB.
    """

    seconds: float
    processor_seconds: float
    parent: float
    worker: float
    together: float


def sweep(root: Path, out: Path, windows: Sequence[int], seeds: Sequence[int], steps: int, workers: int) -> Sweep:
    words = ["ablate", "--features", str(root / "features"), "--annotations", str(root / "annotations")]
    words += ["--out", str(out), "--vary", f"window={','.join(map(str, windows))}", "--seeds", *map(str, seeds)]
    words += [*FLAGS, "--train.steps", str(steps), "--workers", str(workers)]
    begun, used = time.perf_counter(), _processor_seconds()
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    watch = _Watch(process.pid)
    status = process.wait()
    seconds = time.perf_counter() - begun
    watch.join()
    if status:
        raise SystemExit(f"`abaw {' '.join(words)}` ended with status {status}")
    return Sweep(seconds, _processor_seconds() - used, watch.parent, watch.worker, watch.together)


def _processor_seconds() -> float:
    """Processor time of all ended child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class _Watch(threading.Thread):
    """Samples the memory of a command and of its child processes until the command ends."""

    def __init__(self, pid: int) -> None:
        super().__init__()
        self._pid = pid
        self.parent = self.worker = self.together = 0.0
        self.start()

    def run(self) -> None:
        while parent := _megabytes(self._pid):
            workers = [_megabytes(pid) for pid in _children(self._pid)]
            self.parent = max(self.parent, parent)
            self.worker = max(self.worker, *workers, 0.0)
            self.together = max(self.together, parent + sum(workers))
            time.sleep(0.5)


def _megabytes(pid: int) -> float:
    """Proportional set size in MB; 0 when the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def _children(pid: int) -> list[int]:
    try:
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except OSError:
        return []


def report_time(root: Path, steps: int, workers: int) -> bool:
    """Make the data, measure, print. Returns whether all ratios are within the limit."""
    make_videos(root, 40, 20, 1500, 128)
    found = sweep(root, root / "run", WINDOWS, SEEDS, steps, workers)
    cells = list(csv.DictReader((root / "run" / "ablation.csv").open()))
    inside = sum(float(cell["step_seconds"]) for cell in cells)
    evaluating = sum(float(cell["evaluation_seconds"]) for cell in cells)
    total = sum(float(cell["total_seconds"]) for cell in cells)
    alone, processor = parallel_steps_alone(root, steps, workers)
    ratios = {
        "wall x workers / steps inside:": found.seconds * workers / inside,
        "wall / (steps alone / workers):": found.seconds / (alone / workers),
        "processor time / of steps alone:": found.processor_seconds / processor,
    }
    print(f"grid of {len(WINDOWS)} windows x {len(SEEDS)} seeds, {steps} steps per cell, {workers} workers")
    print(f"command, from start to end:        {found.seconds:8.1f} s ({found.processor_seconds:.1f} s processor time)")
    print(f"steps, measured inside the cells:  {inside:8.1f} s in all (evaluating {evaluating:.1f}, cells {total:.1f})")
    print(f"steps, in separate processes:      {alone:8.1f} s in all ({processor:.1f} s), {workers} at a time")
    for name, ratio in ratios.items():
        print(f"{name:34s} {ratio:8.2f}   (limit {RATIO:g})", flush=True)
    return max(ratios.values()) <= RATIO


def parallel_steps_alone(root: Path, steps: int, workers: int) -> tuple[float, float]:
    """Wall and processor seconds of all cells' steps, in parallel processes that do nothing else."""
    cells = [f"{window}:{seed}" for window in sorted(WINDOWS, reverse=True) for seed in SEEDS]
    words = [sys.executable, __file__, "--folder", str(root), "--steps", str(steps), "--only_steps"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen([*words, *cells[number::workers]], stdout=subprocess.PIPE, env=environment)
        for number in range(workers)
    ]
    seconds = np.array([process.communicate()[0].split() for process in processes], dtype=float).sum(axis=0)
    return float(seconds[0]), float(seconds[1])


def steps_alone(root: Path, cells: Sequence[str], steps: int) -> tuple[float, float]:
    """Time the steps of `train-temporal` without its loop: batch, views, loss, gradient, AdamW, averaged weights."""
    import torch

    from abaw.core.seed import derive_seed, numpy_generator
    from abaw.data.clips import split_by_video
    from abaw.data.window_batches import WindowSampler
    from abaw.learning.ema import Ema
    from abaw.models.temporal import build_temporal, temporal_spec
    from abaw.protocol.classes import EXPRESSION_CLASSES
    from abaw.training.optim import build_optimizer, schedule_factor, set_learning_rate
    from abaw.training.sequence_method import SequenceMethod
    from abaw.training.temporal_recipe import recipe_of
    from pipelines.cli import parse_config
    from pipelines.train_temporal import read_split

    paths = ["--features", str(root / "features"), "--annotations", str(root / "annotations"), "--out", "unused"]
    recipe = recipe_of(parse_config("train-temporal", [*paths, *FLAGS, "--train.steps", str(steps)]))
    clips = read_split([root / "features"], root / "annotations", "Train_Set")
    seconds = processor_seconds = 0.0
    for cell in cells:
        window, seed = map(int, cell.split(":"))
        plan = replace(recipe.train, seed=seed)
        training, _ = split_by_video(clips, recipe.holdout, numpy_generator(seed, "holdout"))
        spec = temporal_spec(
            recipe.model, window=window, hop=window, sources=clips.sources, classes=EXPRESSION_CLASSES, training={},
        )  # fmt: skip
        model = build_temporal(spec, seed=seed)
        model.set_statistics(*map(torch.from_numpy, training.statistics()))
        method = SequenceMethod(model, recipe.learn, training.class_counts())
        sampler = WindowSampler(training, window, recipe.learn.batch_size, recipe.learn.sampling)
        optimizer = build_optimizer(method, plan.lr, plan.weight_decay)
        ema = Ema(model, plan.ema_decay)
        method.train()
        begun, used = time.perf_counter(), time.process_time()
        for step in range(steps):
            batch = sampler(numpy_generator(seed, "windows", step, 0))
            views = method.views(batch, torch.Generator().manual_seed(derive_seed(seed, "views", step, 0)))
            method.step(views).loss.backward()
            torch.nn.utils.clip_grad_norm_(method.parameters(), plan.clip_norm)
            set_learning_rate(optimizer, schedule_factor(step, plan.steps, plan.warmup_steps))
            optimizer.step()
            optimizer.zero_grad()
            ema.update(model)
        seconds += time.perf_counter() - begun
        processor_seconds += time.process_time() - used
    return seconds, processor_seconds


def report_memory(root: Path, workers: int) -> None:
    size = make_videos(root, 150, 50, 1500, 1024) / 2**20
    print(f"\nfeatures of {size:.0f} MB; peaks in MB")
    print("workers  cells  parent  one worker  all together", flush=True)
    for number, (count, seeds) in enumerate(
        [(1, (0,)), (1, (0, 1, 2)), (workers, (0, 1, 2)), (2 * workers, (0, 1, 2))]
    ):
        found = sweep(root, root / f"run{number}", (50, 100), seeds, 3, count)
        print(
            f"{count:7d}  {2 * len(seeds):5d}  {found.parent:6.0f}  {found.worker:10.0f}  {found.together:12.0f}",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
