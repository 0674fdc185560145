"""Speed of the training loop in images per second, compared with its model alone and with the common loop.

    python benchmarks/train_throughput.py --faces STORE [--backbone resnet18] [--size 112] [--device auto]

All variants train FixMatch on the same faces of a labelled image set, with the same batches and equally strong views.
They are measured alternately in one process, several times:

    model   the model alone on random tensors: forward, backward, optimiser, averaged weights
    views   the same, with the views of one batch that is on the device
    loop    `abaw.training.loop.train`, crops decoded for every batch in `--workers` threads
    kept    the same, crops decoded once and kept in memory (what `train-static` does when they fit)
    common  PIL and torchvision's transforms in a DataLoader with `--workers` processes

Images are those of the batch, labelled and unlabelled; the two views of an unlabelled one count once. The model's step
is the same everywhere. Ratios are computed within each repeat; the median and the range over the repeats are printed.
`waits` is the share of a step in which the loop waits for its batch to be on the device. `takes`, on a CPU, is the
share of the process's CPU time beyond `views`: the cost of the loader even where the loop never waits for it. Decoders
are measured as well. On a machine with other work, `OMP_WAIT_POLICY=PASSIVE` and `--threads 1` give steadier figures.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torchvision
from lightning_fabric import Fabric
from train_throughput_common import common_views
from train_throughput_decoders import decoding
from train_throughput_options import Options, read_options

from abaw.core.data_parallel import WHOLE
from abaw.core.run_folder import RunFolder
from abaw.data.face_set import FaceSet, join, labelled_stills
from abaw.data.images import ImageReader, TrainBatches, TrainImages
from abaw.learning.ema import Ema
from abaw.models.image_input import ImageInput
from abaw.protocol.classes import NUM_EXPRESSIONS
from abaw.semisup.image_method import ImageViews, Setup
from abaw.semisup.methods.fixmatch.method import FixMatch
from abaw.semisup.methods.fixmatch.settings import FixMatchSettings
from abaw.training.launch import launch
from abaw.training.loop import train
from abaw.training.optim import build_optimizer

VARIANTS = ("model", "views", "loop", "kept", "common")
LOOPS = ("loop", "kept")
RATIOS = (("loop", "model"), ("kept", "model"), ("loop", "views"), ("kept", "views"), ("loop", "common"))
_ENOUGH_MB = 1 << 20


class Measured(NamedTuple):
    """speed: images per second; cpu: CPU seconds per image of this process; waits: share of time, None without loop."""

    speed: float
    cpu: float
    waits: float | None = None


class Watched(FixMatch):
    """Records when each step has its batch on the device."""

    def __init__(self, setup: Setup, settings: FixMatchSettings) -> None:
        super().__init__(setup, settings)
        self.begun: list[float] = []

    def views(self, batch: TrainImages, generator: torch.Generator) -> ImageViews:
        self.begun.append(time.perf_counter())
        return super().views(batch, generator)


class Learner:
    """The model's training step without the loop."""

    def __init__(self, fabric: Fabric, options: Options) -> None:
        self.method = options.method(FixMatch)
        self._fabric = fabric
        self._forward, self._optimizer = fabric.setup(self.method, build_optimizer(self.method, 1e-3, 0.05))
        self._average = Ema(self.method.model, 0.999)
        self.method.use_average(self._average.model)
        self.method.train()

    def learn(self, views: ImageViews) -> None:
        self._fabric.backward(self._forward(views).loss)
        self._fabric.clip_gradients(self._forward, self._optimizer, max_norm=5.0, error_if_nonfinite=False)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._average.update(self.method.model)


class Bench:
    """The variants, ready to be measured in any order."""

    def __init__(self, options: Options, faces: FaceSet) -> None:
        self._options = options
        self._fabric = launch(options.settings())
        self.device = self._fabric.device
        self._learner = Learner(self._fabric, options)
        self._direct, self._kept = (self._batches(faces, cache_mb) for cache_mb in (0, _ENOUGH_MB))
        self._batch = self._fabric.to_device(self._direct(0, WHOLE))
        image = ImageInput(options.size)
        self._common = common_views(faces, image, options.batch_size, options.ratio, options.workers, self.device)
        self.measure: dict[str, Callable[[], Measured]] = {
            "model": lambda: self._by_hand(repeat(self._random())),
            "views": lambda: self._by_hand(self._views()),
            "loop": lambda: self._loop(self._direct),
            "kept": lambda: self._loop(self._kept),
            "common": lambda: self._by_hand(self._common),
        }

    def _batches(self, faces: FaceSet, cache_mb: int) -> TrainBatches:
        options = self._options
        labelled = ImageReader(faces, options.size, cache_mb)
        unlabelled = ImageReader(faces.without_labels(), options.size, cache_mb)
        return TrainBatches(labelled, "natural", options.batch_size, 0, unlabelled, options.ratio)

    def _random(self) -> ImageViews:
        options = self._options
        few, many = options.batch_size, options.batch_size * options.ratio

        def images(count: int) -> torch.Tensor:
            shape = (count, 3, options.size, options.size)
            return torch.randn(shape, device=self.device).contiguous(memory_format=torch.channels_last)

        labels = torch.randint(NUM_EXPRESSIONS, (few,), device=self.device)
        targets = torch.nn.functional.one_hot(labels, NUM_EXPRESSIONS).float()
        return ImageViews(images(few), labels, targets, images(many), images(many), ())

    def _views(self) -> Iterator[ImageViews]:
        generator = torch.Generator(self.device).manual_seed(0)
        while True:
            with torch.no_grad():
                views = self._learner.method.views(self._batch, generator)
            yield views

    def _by_hand(self, views: Iterator[ImageViews]) -> Measured:
        options = self._options
        for _ in range(options.warmup):
            self._learner.learn(next(views))
        self._synchronise()
        begun, begun_cpu = time.perf_counter(), time.process_time()
        for _ in range(options.steps):
            self._learner.learn(next(views))
        self._synchronise()
        images = options.steps * options.images_a_step
        return Measured(images / (time.perf_counter() - begun), (time.process_time() - begun_cpu) / images)

    def _loop(self, batches: TrainBatches) -> Measured:
        options, method = self._options, self._options.method(Watched)
        ended: list[float] = []
        ended_cpu: list[float] = []

        def note(*_: int | None) -> None:
            ended.append(time.perf_counter())
            ended_cpu.append(time.process_time())

        with tempfile.TemporaryDirectory() as folder:
            train(
                self._fabric,
                method,
                batches,
                RunFolder(Path(folder) / "run", {}),
                options.settings(),
                evaluate=None,
                save=lambda *_: None,
                select_by="",
                progress=note,
            )
        first, last = options.warmup, options.warmup + options.steps
        images, seconds = options.steps * options.images_a_step, ended[last] - ended[first]
        waited = sum(method.begun[step] - ended[step] for step in range(first, last))
        return Measured(images / seconds, (ended_cpu[last] - ended_cpu[first]) / images, waited / seconds)

    def _synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def read_faces(options: Options) -> FaceSet:
    faces = join([labelled_stills(path) for path in options.faces])
    chosen = np.zeros(len(faces), dtype=np.bool_)
    chosen[np.random.default_rng(0).permutation(len(faces))[: options.images]] = True
    return faces.take(chosen)


def measure(options: Options) -> dict[str, Any]:
    """Images per second, ratios and the loader's shares, one value per repeat; microseconds per image by decoder."""
    faces = read_faces(options)
    bench = Bench(options, faces)
    found: dict[str, list[Measured]] = {name: [] for name in VARIANTS}
    for index in range(options.repeats):
        first = index % len(VARIANTS)  # rotated, since other load on the machine changes slowly
        for name in VARIANTS[first:] + VARIANTS[:first]:
            found[name].append(bench.measure[name]())
    on_gpu = bench.device.type == "cuda"
    return {
        "settings": {**asdict(options), "faces": [path.name for path in options.faces], "num_faces": len(faces)},
        "machine": {
            "device": torch.cuda.get_device_name(bench.device) if on_gpu else "cpu",
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
        },
        "images_per_second": {name: [each.speed for each in values] for name, values in found.items()},
        "ratios": {f"{a}/{b}": [x.speed / y.speed for x, y in zip(found[a], found[b], strict=True)] for a, b in RATIOS},
        "waits": {name: [each.waits for each in found[name]] for name in LOOPS},
        "takes": {}
        if on_gpu
        else {name: [1 - y.cpu / x.cpu for x, y in zip(found[name], found["views"], strict=True)] for name in LOOPS},
        "decode_us": decoding(faces, options.size, bench.device, options.repeats),
    }


def spread(values: Sequence[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def show(figures: dict[str, Any]) -> None:
    settings, machine = figures["settings"], figures["machine"]
    print(
        f"{settings['backbone']}, {settings['size']} px, {settings['batch_size']} labelled and "
        f"{settings['batch_size'] * settings['ratio']} unlabelled images per step, {settings['precision']}; "
        f"{machine['device']}, {machine['threads']} threads, {settings['workers']} workers"
    )
    for name, values in figures["images_per_second"].items():
        print(f"{name:8} {spread(values, ',.1f')} images/s")
    for name, values in figures["ratios"].items():
        print(f"{name:12} {spread(values, '.3f')}")
    for name, values in figures["waits"].items():
        print(f"{name} waits for its batch: {spread(values, '.2%')} of the step")
    for name, values in figures["takes"].items():
        print(f"{name}: the loader takes {spread(values, '.2%')} of the CPU time")
    for name, value in figures["decode_us"].items():
        print(f"decoding by {name}: {value:.0f} µs per image")


def main() -> None:
    options, target = read_options()
    if options.threads:
        torch.set_num_threads(options.threads)
    figures = measure(options)
    show(figures)
    if target is not None:
        target.write_text(json.dumps(figures, indent=2, default=str) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
