"""Batch norm over the batch of all processes of a data-parallel training."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from abaw.core.data_parallel import mean_over_processes


class SharedBatchNorm(_BatchNorm):
    """What `nn.SyncBatchNorm` does on GPUs, and only there: normalise by the batch of all processes."""

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of dimensions fits."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        values = input.float().transpose(0, 1).flatten(1)  # (D, values per channel)
        amount = mean_over_processes(values.new_tensor(float(values.shape[1])))
        mean = mean_over_processes(values.sum(1)) / amount
        centred = values - mean[:, None]
        variance = mean_over_processes(centred.square().sum(1)) / amount
        self._remember(mean.detach(), variance.detach(), float(amount) * torch.distributed.get_world_size())
        normed = centred * (variance + self.eps).rsqrt()[:, None]
        if self.affine:
            normed = normed * self.weight[:, None] + self.bias[:, None]
        return normed.view(-1, len(input), *input.shape[2:]).transpose(0, 1).to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: float) -> None:
        """Update the running statistics, with the unbiased variance of all `count` values of a channel."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance * count / (count - 1), share)


def share_batch_norm(module: nn.Module, device: torch.device) -> None:
    """Replace the batch norms in a module that will be on `device`.

    Weights and statistics stay the same tensors, under the same names.
    """
    kind = nn.SyncBatchNorm if device.type == "cuda" else SharedBatchNorm
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm) and not isinstance(child, kind):
            setattr(module, name, _shared(child, kind))
        else:
            share_batch_norm(child, device)


def _shared(norm: _BatchNorm, kind: type[_BatchNorm]) -> _BatchNorm:
    shared = kind(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    shared._parameters.update(norm._parameters)
    shared._buffers.update(norm._buffers)
    shared.training = norm.training
    return shared
