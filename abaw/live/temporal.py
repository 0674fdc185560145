"""A causal temporal model, run frame by frame as from a camera.

Shapes: D feature, C class.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
        self._model, self._tasks = model, spec_tasks(spec)
        self._device = next(model.parameters()).device
        self._frames: deque[tuple[Tensor, Tensor]] = deque(maxlen=int(spec.input["window"]))

    @torch.inference_mode()
    def push(self, *parts: NDArray[np.float16] | None) -> NDArray[np.float32]:
        """Add the next frame and return its probabilities, (C,).

        parts: the feature of each source, (D,), in the order of training; None where the frame has none, such as no
        face.
        """
        values = [
            torch.zeros(dim) if part is None else torch.from_numpy(part).float()
            for part, dim in zip(parts, self._model.dims, strict=True)
        ]
        self._frames.append((torch.cat(values), torch.tensor([part is not None for part in parts])))
        features, present = (torch.stack(each) for each in zip(*self._frames, strict=True))
        inside = torch.ones(1, len(self._frames), dtype=torch.bool)
        batch = (each.to(self._device) for each in (features[None], present[None], inside))
        outputs = self._model(*batch)[0, -1].cpu()
        probs: NDArray[np.float32] = split_outputs(outputs, self._tasks)["expression"].softmax(-1).numpy()
        return probs
