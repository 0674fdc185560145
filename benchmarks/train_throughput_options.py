"""The command line of `train_throughput.py`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from abaw.models.architecture import Architecture
from abaw.models.image_input import ImageInput
from abaw.models.static import build_static
from abaw.protocol.classes import NUM_EXPRESSIONS
from abaw.semisup.image_method import Setup
from abaw.semisup.methods.fixmatch.method import FixMatch
from abaw.semisup.methods.fixmatch.settings import FixMatchSettings
from abaw.training.settings import TrainSettings

Kind = TypeVar("Kind", bound=FixMatch)


@dataclass(frozen=True)
class Options:
    """What is measured. batch_size: labelled images; ratio: unlabelled images per labelled one.

    workers: threads or processes that make batches; images: maximum number of faces used.
    """

    faces: tuple[Path, ...]
    backbone: str
    size: int
    device: str
    precision: str
    batch_size: int
    ratio: int
    workers: int
    steps: int
    repeats: int
    images: int
    threads: int

    @property
    def warmup(self) -> int:
        """Steps before the clock starts: until the batches that either loader made ahead are used up."""
        return 2 * self.workers + 1

    @property
    def images_a_step(self) -> int:
        return self.batch_size * (1 + self.ratio)

    def settings(self) -> TrainSettings:
        """Settings of the loop. Its last `workers` steps, for which no batch is made ahead, are not measured."""
        steps = self.warmup + self.steps + self.workers + 1
        return TrainSettings(
            steps=steps,
            warmup_steps=1,
            prefetch=self.workers,
            precision=self.precision,  # type: ignore[arg-type]
            accelerator=self.device,  # type: ignore[arg-type]
            checkpoint_every=steps,
            log_every=steps,
        )

    def method(self, kind: type[Kind]) -> Kind:
        model = build_static(Architecture(backbone=self.backbone), NUM_EXPRESSIONS, self.size, seed=0)
        alike = torch.full((NUM_EXPRESSIONS,), 1 / NUM_EXPRESSIONS)
        return kind(Setup(model, ImageInput(self.size), self.settings().steps, alike, alike), FixMatchSettings())


def read_options(words: Sequence[str] | None = None) -> tuple[Options, Path | None]:
    """The options, and the file for the figures."""
    parser = argparse.ArgumentParser(description="Speed of the training loop against its model and the common loop.")
    parser.add_argument("--faces", type=Path, nargs="+", required=True, help="labelled image sets")
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--precision", choices=("32-true", "16-mixed", "bf16-mixed"), default="32-true")
    parser.add_argument("--batch_size", type=int, default=64, help="labelled images per step")
    parser.add_argument("--ratio", type=int, default=2, help="unlabelled images per labelled one")
    parser.add_argument("--workers", type=int, default=2, help="threads (common loop: processes) that make batches")
    parser.add_argument("--steps", type=int, default=20, help="measured steps per variant and repeat")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--images", type=int, default=20_000, help="maximum number of faces to use")
    parser.add_argument("--threads", type=int, default=0, help="threads of torch; 0 keeps its default")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    values = vars(parser.parse_args(words))
    target = values.pop("json")
    return Options(**{**values, "faces": tuple(values["faces"])}), target
