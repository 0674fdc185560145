"""What a model of sound is: mono samples -> vectors at times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from abaw.audio.decode import Samples


class SoundModel(Protocol):
    """Computes vectors from a stretch of sound.

    rate: samples per second that it expects; dim: D, numbers per vector; backbone: identifies its weights and settings
    in stores; length_s, context_s: of the blocks in which long sound is given to it, see `blocks`; settings: what a
    store records about it.
    """

    @property
    def rate(self) -> int: ...
    @property
    def dim(self) -> int: ...
    @property
    def backbone(self) -> str: ...
    @property
    def length_s(self) -> float: ...
    @property
    def context_s(self) -> float: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...

    def vectors(self, samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """samples: (N,), N at least 1.

        Returns the sample at the centre of each vector, (V,), increasing, and the vectors, (V, D), V at least 1.
        """
        ...
