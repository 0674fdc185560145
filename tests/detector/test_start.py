"""A detector that starts from the graph of an earlier one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from abaw.core.errors import DataError
from abaw.detector.checkpoint import export_detector
from abaw.detector.network import FaceDetector, build_detector
from abaw.detector.start import start_from_graph

PICTURES = torch.rand(4, 1, 96, 64, generator=torch.Generator().manual_seed(0))


def earlier(depths: tuple[int, int, int] = (1, 2, 1), widths: tuple[int, int, int] = (64, 96, 96)) -> FaceDetector:
    torch.manual_seed(1)
    model = FaceDetector(quarter=1, depths=depths, widths=widths)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.2)
                assert module.running_mean is not None and module.running_var is not None
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 2)
    return model.eval()


def test_the_same_output_from_more_blocks_in_training_too(tmp_path: Path) -> None:
    graph = tmp_path / "detector.onnx"
    export_detector(earlier(), graph)
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    wanted = session.run(None, {"grey": PICTURES[:1].numpy() * 255})
    model = build_detector(0)
    start_from_graph(model, graph, PICTURES)
    with torch.no_grad():
        for training in (True, False):
            found = model.train(training)(PICTURES)
            for one, other in zip(found, wanted, strict=True):
                np.testing.assert_allclose(one[:1].numpy(), other, atol=0.02, rtol=0.01)


def test_kernels_are_stored_in_half_the_bytes(tmp_path: Path) -> None:
    model = earlier()
    export_detector(model, tmp_path / "detector.onnx")
    kernels = sum(module.weight.numel() for module in model.modules() if isinstance(module, nn.Conv2d))
    assert 2 * kernels < (tmp_path / "detector.onnx").stat().st_size < 2.3 * kernels


def test_other_graphs_are_refused(tmp_path: Path, shared_data: Path) -> None:
    with pytest.raises(DataError, match="is not a detector from train-detector"):
        start_from_graph(build_detector(0), shared_data / "models" / "yunet_n_dynamic.onnx", PICTURES)
    export_detector(earlier(widths=(32, 96, 96)), tmp_path / "narrow.onnx")
    with pytest.raises(DataError, match="does not fit this network"):
        start_from_graph(build_detector(0), tmp_path / "narrow.onnx", PICTURES)
