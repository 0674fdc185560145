"""A causal temporal model, run frame by frame as from a camera.

Shapes: D feature, C class.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import torch
from numpy.typing import NDArray

from abaw.core.errors import ConfigError
from abaw.models.tasks import require_expression, split_outputs
from abaw.models.temporal import TemporalTransformer, spec_tasks
from abaw.stores.spec import Spec


class LivePredictor:
    """The probabilities of the newest frame, from it and the earlier frames that fit into the model's window.

    model: in eval mode. Raises ConfigError when the model is not causal, because it would need later frames, or does
    not predict the expression.
    """

    def __init__(self, model: TemporalTransformer, spec: Spec) -> None:
        if not model.size.causal:
            raise ConfigError("this temporal model uses later frames; train one with --model.causal for live use")
        require_expression(spec_tasks(spec), "live use")
        self._model, self._tasks, self._dim = model, spec_tasks(spec), spec.feature_dim
        self._frames: deque[NDArray[np.float16] | None] = deque(maxlen=int(spec.input["window"]))

    @torch.inference_mode()
    def push(self, feature: NDArray[np.float16] | None) -> NDArray[np.float32]:
        """Add the next frame and return its probabilities, (C,). feature: (D,), None when the frame has no face."""
        self._frames.append(feature)
        present = torch.tensor([each is not None for each in self._frames])
        features = torch.zeros(len(self._frames), self._dim)
        for row, each in enumerate(self._frames):
            if each is not None:
                features[row] = torch.from_numpy(each)
        outputs = self._model(features[None], present[None], torch.ones_like(present)[None])[0, -1]
        probs: NDArray[np.float32] = split_outputs(outputs, self._tasks)["expression"].softmax(-1).numpy()
        return probs
