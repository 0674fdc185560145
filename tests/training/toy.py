"""A problem that a linear model learns in a few steps, for tests of the loop."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from abaw.core.data_parallel import WHOLE, Part
from abaw.core.seed import derive_seed
from abaw.learning.method import Method, StepResult


class Points(NamedTuple):
    """points: (B, 4); targets: (B,), which of the four coordinates is the largest."""

    points: Tensor
    targets: Tensor
    ids: tuple[str, ...]


class ToyMethod(Method[Points, Points]):
    """Noisy views, dropout, and a running mean of the loss as additional state."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.model = nn.Sequential(nn.Linear(width, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 4))
        self.register_buffer("seen", torch.zeros(()))

    def views(self, batch: Points, generator: torch.Generator) -> Points:
        noise = torch.randn(batch.points.shape, generator=generator, device=batch.points.device)
        return batch._replace(points=batch.points + 0.01 * noise)

    def step(self, batch: Points) -> StepResult:
        loss = nn.functional.cross_entropy(self.model(batch.points), batch.targets)
        return StepResult(loss, {"loss/toy": loss.detach()})

    def update(self, batch: Points) -> None:
        self.seen += len(batch.ids)


def toy_batch(step: int, part: Part = WHOLE) -> Points:
    generator = torch.Generator().manual_seed(derive_seed(7, step, part.index))
    points = torch.randn(16, 4, generator=generator)
    return Points(points, points.argmax(1), tuple(f"point {step}/{index}" for index in range(16)))


def toy_scores(model: nn.Module) -> Mapping[str, float]:
    batch = toy_batch(10_000)
    device = next(model.parameters()).device
    return {"accuracy": float((model(batch.points.to(device)).argmax(1).cpu() == batch.targets).float().mean())}


def toy_save(folder: Path, model: nn.Module, facts: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), folder / "weights.safetensors")
