"""The teacher's scores at the grid points: those of OpenCV's YuNet, at the points of the detector's own grids."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from abaw.core.errors import DataError
from abaw.detector.dense_teacher import DenseTeacher
from abaw.detector.loss import flat, grid_points, teacher_loss
from abaw.detector.network import OUTPUTS, STRIDES
from abaw.video.detecting.yunet import YuNetNetwork
from abaw.weights import DETECTOR
from tests.video.clips import portrait


@pytest.fixture(scope="module")
def yunet(shared_data: Path) -> Path:
    return shared_data / "models" / "yunet_n_dynamic.onnx"


def test_the_best_score_is_opencv_s_and_lies_on_the_face(yunet: Path) -> None:
    grey = cv2.resize(cv2.cvtColor(portrait(), cv2.COLOR_RGB2GRAY), (128, 160))
    scene = np.zeros((160, 288), np.uint8)
    scene[:, 160:] = grey
    found = YuNetNetwork(yunet, 0.5, 1).find(np.repeat(scene[..., None], 3, axis=2))
    assert len(found) == 1
    scores = DenseTeacher(yunet).scores(np.stack([np.zeros_like(scene), scene]))
    grids = [torch.zeros(2, OUTPUTS, 160 // stride, 288 // stride) for stride in STRIDES]
    points = grid_points(grids)
    assert scores.shape == flat(grids).shape[:2] and scores[0].max() < 0.1
    assert scores[1].max() == pytest.approx(found.score[0], abs=1e-3)
    x, y = points.xy[int(scores[1].argmax())].tolist()
    left, top, right, bottom = found.box_xyxy[0]
    assert left <= x <= right and top <= y <= bottom


def test_a_file_that_is_no_yunet_is_refused(tmp_path: Path) -> None:
    for other in (DETECTOR, tmp_path / "none.onnx"):
        with pytest.raises(DataError, match="a YuNet .onnx file"):
            DenseTeacher(other)


def test_the_loss_of_a_soft_score() -> None:
    logits, scores = torch.tensor([[0.0, 2.0, -3.0]]), torch.tensor([[0.5, 1.0, 0.25]])
    chance = logits.sigmoid()
    entropy = -(scores * chance.log() + (1 - scores) * (1 - chance).log())
    wanted = ((chance - scores).square() * entropy).sum() / 1.75
    assert float(teacher_loss(logits, scores)) == pytest.approx(float(wanted), rel=1e-5)
    assert float(teacher_loss(scores.clamp(0.01, 0.99).logit(), scores.clamp(0.01, 0.99))) == pytest.approx(0, abs=1e-9)
    nothing = teacher_loss(torch.full((1, 3), -9.0), torch.zeros(1, 3))
    assert 0 <= float(nothing) < 1e-9, "a scene without a face is not divided by zero"
