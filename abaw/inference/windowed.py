"""A temporal model applied to a whole video: windows in, one row of outputs per frame out.

Shapes: T time, S source, D feature, O outputs.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from abaw.sequence.windows import Windows, cut, inside, overlap_average

_FRAMES_PER_BATCH = 4096


@torch.inference_mode()
def window_outputs(
    model: nn.Module,
    features: NDArray[np.float16],
    present: NDArray[np.bool_],
    windows: Windows,
    *,
    causal: bool = False,
) -> Tensor:
    """The outputs of every frame, averaged where windows overlap, (T, O) on the CPU.

    model: a temporal model in eval mode; features: (T, D), T >= 1; present: (T, S) False without a feature of the
    source; causal: the model sees no later frames, so the end of a window has the largest weight.
    """
    device = next(model.parameters()).device
    num_frames = len(present)
    starts = windows.starts(num_frames)
    # A video shorter than a window needs no padding: the model accepts any length.
    length = min(windows.length, num_frames)
    batch_size = max(1, _FRAMES_PER_BATCH // length)
    values, mask = torch.from_numpy(features), torch.from_numpy(present)
    pieces = []
    for first in range(0, len(starts), batch_size):
        part = starts[first : first + batch_size]
        batch = (cut(values, part, length), cut(mask, part, length), inside(part, length, num_frames))
        pieces.append(model(*(tensor.to(device) for tensor in batch)).cpu())
    return overlap_average(torch.cat(pieces), starts, num_frames, causal=causal)
