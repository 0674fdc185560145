"""Where the outputs of a temporal model may start: at the log-probabilities of the static model whose logits it gets.

Shapes: B batch, T time, C class.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def filled_log_probs(logits: Tensor, present: Tensor, *, causal: bool) -> Tensor:
    """The log-probabilities of every frame; where the logits are missing, those of the frames around the gap.

    Between two frames they are interpolated linearly, and the nearest ones are used at the ends of a window; a causal
    model uses those of the last frame before. Without any frame to use, all classes are equally likely.
    logits: (B, T, C); present: (B, T), False without logits and for padding. Returns (B, T, C).
    """
    time = present.shape[1]
    places = torch.arange(time, device=present.device).expand_as(present)
    # All pairs of frames: running maxima cannot be exported to ONNX.
    earlier = places[:, None, :] <= places[:, :, None]
    before = torch.where(earlier & present[:, None], places[:, None], -1).amax(dim=2)
    after = torch.where(earlier.transpose(1, 2) & present[:, None], places[:, None], time).amin(dim=2)
    if causal:
        after = before
    left = torch.where(before < 0, after, before)
    right = torch.where(after >= time, before, after)
    share = (places - left) / (right - left).clamp_min(1)
    known = F.log_softmax(logits.float(), dim=-1)
    mixed = torch.lerp(_at(known, left), _at(known, right), share[..., None])
    nobody = (left < 0) | (left >= time)
    return torch.where(nobody[..., None], 0, mixed)


def _at(values: Tensor, places: Tensor) -> Tensor:
    """The values (B, T, C) at the frames `places`, (B, T); any values where those are outside."""
    inside = places.clamp(0, values.shape[1] - 1)
    return values.gather(1, inside[..., None].expand_as(values))
