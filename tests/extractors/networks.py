"""Tiny networks for tests, with random weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor
from torch.nn import functional as F

WIDTH, CLASSES, SIZE = 6, 8, 32
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


@dataclass(frozen=True)
class ConvNet:
    """A convolution, ReLU, global mean, then a linear layer. The same in ONNX and in torch."""

    kernel: NDArray[np.float32]
    head: NDArray[np.float32]

    @classmethod
    def drawn(cls, seed: int = 0, channels: int = 3) -> ConvNet:
        rng = np.random.default_rng(seed)
        kernel = rng.normal(size=(WIDTH, channels, 3, 3)).astype(np.float32)
        return cls(kernel, rng.normal(size=(CLASSES, WIDTH)).astype(np.float32))

    def feature(self, pictures: Tensor) -> Tensor:
        """(B, channels, S, S) -> (B, 6)."""
        return F.conv2d(pictures, torch.from_numpy(self.kernel)).relu().mean((2, 3))

    def logits(self, pictures: Tensor) -> Tensor:
        return self.feature(pictures) @ torch.from_numpy(self.head).T

    def save(
        self,
        path: Path,
        batch: int | str = "batch",
        size: int | str = SIZE,
        kind: int = TensorProto.FLOAT,
        channels_last: bool = False,
        outputs: tuple[str, ...] = ("logits",),
    ) -> Path:
        """Tensors that can be outputs: maps (B, 6, 30, 30), pooled (B, 6, 1, 1), feature (B, 6), logits (B, 8)."""
        channels = self.kernel.shape[1]
        shape = [batch, size, size, channels] if channels_last else [batch, channels, size, size]
        nodes = [
            helper.make_node("Cast", ["image"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("Transpose", ["numbers"], ["planes"], perm=[0, 3, 1, 2])
            if channels_last
            else helper.make_node("Identity", ["numbers"], ["planes"]),
            helper.make_node("Conv", ["planes", "kernel"], ["conv"]),
            helper.make_node("Relu", ["conv"], ["maps"]),
            helper.make_node("GlobalAveragePool", ["maps"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["feature"]),
            helper.make_node("Gemm", ["feature", "head"], ["logits"], transB=1),
            helper.make_node("ArgMax", ["logits"], ["best"], axis=1, keepdims=1),
            helper.make_node("Log", ["zero"], ["minus_infinity"]),
            helper.make_node("Add", ["feature", "minus_infinity"], ["infinite"]),
        ]
        constants: dict[str, Any] = {"kernel": self.kernel, "head": self.head, "zero": np.zeros(1, np.float32)}
        graph = helper.make_graph(
            nodes,
            "network",
            [helper.make_tensor_value_info("image", kind, shape)],
            [_output(name) for name in outputs],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
        return path


def _output(name: str) -> Any:
    kind = TensorProto.INT64 if name == "best" else TensorProto.FLOAT
    return helper.make_tensor_value_info(name, kind, None)


def crops(count: int, side: int = SIZE, seed: int = 0) -> Tensor:
    """(B, 3, S, S) uint8."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (count, 3, side, side), dtype=np.uint8))


def standard(images: Tensor, mean: tuple[float, ...] = MEAN, std: tuple[float, ...] = STD) -> Tensor:
    """What networks of torchvision, timm and transformers are given: (x / 255 − mean) / std."""
    return (images.float() / 255 - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)
