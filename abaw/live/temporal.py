"""A causal temporal model, run frame by frame as from a camera.

Shapes: D feature, C class.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import ConfigError
from abaw.models.running import RunWindows, softmax
from abaw.models.tasks import is_causal, require_expression, spec_tasks, split_outputs
from abaw.stores.sources import spec_sources
from abaw.stores.spec import Spec


class LivePredictor:
    """The probabilities of the newest frame, from it and the earlier frames that fit into the model's window.

    run: the model. Raises ConfigError when the model is not causal, because it would need later frames, or does
    not predict the expression.
    """

    def __init__(self, run: RunWindows, spec: Spec) -> None:
        if not is_causal(spec):
            raise ConfigError("this temporal model uses later frames; train one with --model.causal for live use")
        require_expression(spec_tasks(spec), "live use")
        self._run, self._tasks = run, spec_tasks(spec)
        self._dims = [source.dim for source in spec_sources(spec)]
        self._frames: deque[tuple[NDArray[np.float32], NDArray[np.bool_]]] = deque(maxlen=int(spec.input["window"]))

    def push(self, *parts: NDArray[np.float16] | None) -> NDArray[np.float32]:
        """Add the next frame and return its probabilities, (C,).

        parts: the feature of each source, (D,), in the order of training; None where the frame has none, such as no
        face.
        """
        values = [
            np.zeros(dim, np.float32) if part is None else part.astype(np.float32)
            for part, dim in zip(parts, self._dims, strict=True)
        ]
        self._frames.append((np.concatenate(values), np.array([part is not None for part in parts])))
        features, present = (np.stack(each) for each in zip(*self._frames, strict=True))
        outputs = self._run(features[None], present[None])[0, -1]
        return softmax(split_outputs(outputs, self._tasks)["expression"])
