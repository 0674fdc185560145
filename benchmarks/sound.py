"""What the sound of the demo adds to the picture: expression from sound, from the picture, and from both.

Decided before any model was trained on the sound: `abaw.demo.sound.SOUND` says how clearly the voices follow the
expression, and the constants below say how frames without a face are made for the comparison with interpolation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HIDDEN_S = 2.4
"""So long is the face of each validation subject hidden, in one stretch, as when someone turns or walks away.

The demo's own frames without a face are too few to score: 46 labelled ones in two of its 16 validation videos.
"""


def hidden(num_frames: int, fps: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(T,) True on the hidden frames; a face is left before and after them for as long as the video allows it."""
    length = min(round(HIDDEN_S * fps), max(0, num_frames - 2))
    start = int(rng.integers(1, num_frames - length))
    mask = np.zeros(num_frames, np.bool_)
    mask[start : start + length] = True
    return mask
