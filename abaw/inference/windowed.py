"""A temporal model applied to a whole video: windows in, one row of outputs per frame out.

Shapes: B batch, T time, S source, D feature, O outputs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from abaw.models.running import RunWindows
from abaw.sequence.windows import Windows, cut, overlap_average

_FRAMES_PER_BATCH = 4096


def window_outputs(
    run: RunWindows,
    features: NDArray[np.float16],
    present: NDArray[np.bool_],
    windows: Windows,
    *,
    causal: bool = False,
) -> NDArray[np.float32]:
    """The outputs of every frame, averaged where windows overlap, (T, O).

    run: a temporal model; features: (T, D), T >= 1; present: (T, S) False without a feature of the source; causal: the
    model sees no later frames, so the end of a window has the largest weight.
    """
    num_frames = len(present)
    starts = windows.starts(num_frames)
    # A video shorter than a window needs no padding: the model accepts any length.
    length = min(windows.length, num_frames)
    batch_size = max(1, _FRAMES_PER_BATCH // length)
    pieces = []
    for first in range(0, len(starts), batch_size):
        part = starts[first : first + batch_size]
        pieces.append(run(cut(features, part, length), cut(present, part, length)))
    return overlap_average(np.concatenate(pieces), starts, num_frames, causal=causal)
