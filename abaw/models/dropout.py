"""Dropout that N processes with a part of the batch each draw like one with the whole batch."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from abaw.core.data_parallel import drawn_for_all, own_part


class Dropout(nn.Dropout):
    """torch's dropout of values (B, …), with the masks of the whole batch in data-parallel runs."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or own_part().count == 1:
            return super().forward(input)
        shape = input.shape[1:]
        return input * drawn_for_all(lambda size: F.dropout(input.new_ones(size, *shape), self.p), len(input))
