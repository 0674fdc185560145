"""Start training from the graph of an earlier detector, whose batch norms are folded into its convolutions."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from abaw.core.errors import DataError
from abaw.detector.network import FaceDetector
from abaw.video.detecting.builtin import NETWORK
from abaw.video.detecting.graph import read_graph

_GREY_LEVELS = 255


def start_from_graph(model: FaceDetector, graph: Path, pictures: Tensor) -> None:
    """Make the model compute what the graph computes; blocks that the graph lacks pass their input on unchanged.

    pictures: (B, 1, H, W), 0..1, by whose statistics the batch norms are set: in training they normalise. Raises
    DataError for a graph that is not a detector of train-detector, or has other widths than this network.
    """
    if not NETWORK.recognises(read_graph(graph)):
        raise DataError(f"{graph}: is not {NETWORK.title}; give one, or the folder of its checkpoint")
    folded = _folded(graph)
    biases: dict[nn.Module, Tensor] = {}
    convolutions = {name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d)}
    for name, (weight, bias) in folded.items():
        if name not in convolutions or convolutions[name].weight.shape != weight.shape:
            raise DataError(f"{graph}: its convolution {name}, {tuple(weight.shape)}, does not fit this network")
        with torch.no_grad():
            convolutions[name].weight.copy_(weight)
        own_bias = convolutions[name].bias
        if own_bias is None:
            parent, _, place = name.rpartition(".")
            biases[model.get_submodule(f"{parent}.{int(place) + 1}")] = bias
        else:
            with torch.no_grad():
                own_bias.copy_(bias)
    _set_norms(model, biases, pictures)


def _folded(graph: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """Weight and bias of each convolution, for grey levels from 0 to 1, by the name of its module."""
    model = onnx.load(str(graph))
    arrays = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    # Kernels are cast, and equal arrays are stored once.
    aliases = [node for node in model.graph.node if node.op_type in ("Cast", "Identity") and node.input[0] in arrays]
    arrays |= {node.output[0]: arrays[node.input[0]] for node in aliases}
    folded: dict[str, tuple[Tensor, Tensor]] = {}
    for node in model.graph.node:
        if node.op_type == "Conv":
            weight, bias = (torch.tensor(arrays[name], dtype=torch.float32) for name in node.input[1:])
            folded[_module_name(node.name)] = (weight * (1 if folded else _GREY_LEVELS), bias)
    return folded


def _module_name(node: str) -> str:
    """/model/stages.0/stages.0.1/spatial/spatial.0/Conv -> stages.0.1.spatial.0"""
    parts = node.strip("/").split("/")[1:-1]
    return ".".join(part for part, after in zip(parts, [*parts[1:], ""], strict=True) if not after.startswith(part))


def _set_norms(model: FaceDetector, biases: dict[nn.Module, Tensor], pictures: Tensor) -> None:
    """Set each batch norm in order, so that it adds the folded bias and changes nothing else."""

    def before(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None
        var, mean = torch.var_mean(inputs[0], dim=(0, 2, 3), correction=0)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(var)
        if norm in biases:
            norm.weight.copy_((var + norm.eps).sqrt())
            norm.bias.copy_(mean + biases[norm])

    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    handles = [norm.register_forward_pre_hook(before) for norm in norms]
    training = model.training
    with torch.no_grad():
        model.eval()(pictures)
    for handle in handles:
        handle.remove()
    model.train(training)
