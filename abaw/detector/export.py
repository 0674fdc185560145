"""The face detector as an ONNX graph, which runs without torch."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import torch
from torch import nn

from abaw.core.artifacts import atomic_path
from abaw.detector.network import STRIDES, FaceDetector

_OPSET = 17
_TRACED_SIDE = 64


class _OfPixels(nn.Module):
    """The detector on greys of 0 to 255."""

    def __init__(self, model: FaceDetector) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).float().cpu()
        first = next(module for module in self.model.modules() if isinstance(module, nn.Conv2d))
        with torch.no_grad():
            first.weight /= 255

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(self.model(pictures))


def export_detector(model: FaceDetector, path: Path) -> None:
    """Write `grey` (1, 1, H, W) float32, 0..255 -> `faces_8`, `faces_16`, `faces_32` (1, 15, H/S, W/S).

    H and W are open, multiples of 32. Batch norms are folded into the convolutions. Written whole or not at all.
    """
    names = [f"faces_{stride}" for stride in STRIDES]
    sides = {2: "height", 3: "width"}
    with atomic_path(path) as temporary, warnings.catch_warnings():
        # torch's exporter through TorchScript needs no further package; it warns that a newer one does.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _OfPixels(model).eval(),
            (torch.zeros(1, 1, _TRACED_SIDE, _TRACED_SIDE),),
            str(temporary),
            dynamo=False,
            opset_version=_OPSET,
            input_names=["grey"],
            output_names=names,
            dynamic_axes={"grey": sides, **{name: {2: f"{name}_h", 3: f"{name}_w"} for name in names}},
        )
