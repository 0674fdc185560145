"""What the processes of a data-parallel training share, so that N of them compute what one does with N times the batch.

The batch of a step is drawn as a whole; each process takes its part. Gradients are averaged over the processes, so a
loss that is a mean over equal parts needs nothing else; other statistics of a batch go through `mean_over_processes`.
Without other processes these functions change nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, distributed


@dataclass(frozen=True, slots=True)
class Part:
    """The part of each batch that a process computes: number `index`, from 0, of `count` equal parts."""

    index: int = 0
    count: int = 1

    def of(self, size: int) -> slice:
        """The samples of this part in the whole batch. size: of one part."""
        return slice(self.index * size, (self.index + 1) * size)


WHOLE: Final = Part()
"""The whole batch."""


def own_part() -> Part:
    """The part of this process."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return WHOLE
    return Part(distributed.get_rank(), distributed.get_world_size())


_CONNECTION_LOST: Final = re.compile(r"gloo/\S+\] .*(closed by peer|reset by peer|Broken pipe)|remote process exit")
"""What Gloo and NCCL say when a process is gone. An operation that times out, or that others do not know, is a bug."""


def other_has_ended(error: RuntimeError) -> bool:
    """Whether an error says that another process of this training has ended, while this one waited for it."""
    return own_part().count > 1 and (
        isinstance(error, distributed.DistNetworkError) or bool(_CONNECTION_LOST.search(str(error)))
    )


def drawn_for_all(draw: Callable[[int], Tensor], size: int, dim: int = 0) -> Tensor:
    """What `draw` returns for the samples of this process, when called for those of all processes.

    draw: number of samples -> their random numbers, with the same generator state in all processes; size: samples of
    this process; dim: of the samples.
    """
    part = own_part()
    return draw(size * part.count).narrow(dim, part.of(size).start, size)


class _Mean(torch.autograd.Function):
    """The mean over the processes, of values and of gradients."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return _mean(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _mean(gradients[0])


def _mean(value: Tensor) -> Tensor:
    value = value.clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(value)
    return value / distributed.get_world_size()


def mean_over_processes(value: Tensor) -> Tensor:
    """The mean over the processes, with gradient. value: any shape. All processes have to call it."""
    if own_part().count == 1:
        return value
    mean: Tensor = _Mean.apply(value)
    return mean


def sum_over_processes(value: Tensor) -> Tensor:
    """The sum over the processes. value: any shape. All processes have to call it."""
    return mean_over_processes(value) * own_part().count


def weight_of_part(amount: Tensor) -> Tensor:
    """The weight of a mean over this process's part in the mean over all: 1 when all have equal amounts.

    amount: what the mean is divided by (number of samples, or sum of their weights), a scalar; 0 everywhere gives 0.
    """
    mean = mean_over_processes(amount.float())
    return torch.where(mean > 0, amount / mean, 0.0)


def previous_samples(samples: Tensor) -> Tensor:
    """For each sample the one before it in the whole batch; the last one for the first. samples: (B, …)."""
    part = own_part()
    if part.count == 1:
        return samples.roll(1, 0)
    lasts = [torch.empty_like(samples[-1]) for _ in range(part.count)]
    distributed.all_gather(lasts, samples[-1].contiguous())
    return torch.cat([lasts[part.index - 1][None], samples[:-1]])


class _Gathered(torch.autograd.Function):
    """The rows of all processes, each of which computes the same loss from them."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: list[int], index: int) -> Tensor:
        ctx.own = slice(sum(counts[:index]), sum(counts[: index + 1]))
        padded = rows.new_zeros(max(counts), *rows.shape[1:])
        padded[: len(rows)] = rows
        found = [torch.empty_like(padded) for _ in counts]
        distributed.all_gather(found, padded)
        return torch.cat([each[:count] for each, count in zip(found, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total[ctx.own], None, None


def rows_of_all(rows: Tensor) -> Tensor:
    """The rows of all processes, with gradient. rows: (N, …), N may differ. All processes have to call it."""
    part = own_part()
    if part.count == 1:
        return rows
    counts = [torch.zeros((), dtype=torch.long, device=rows.device) for _ in range(part.count)]
    distributed.all_gather(counts, torch.tensor(len(rows), device=rows.device))
    gathered: Tensor = _Gathered.apply(rows, [int(count) for count in counts], part.index)
    return gathered
