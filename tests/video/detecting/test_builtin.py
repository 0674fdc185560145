"""The project's own detector: what its grids mean, and that it runs outside torch as inside."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from abaw.detector.checkpoint import export_detector
from abaw.detector.network import STRIDES as MODEL_STRIDES
from abaw.detector.network import build_detector
from abaw.video.detecting.builtin import OUTPUTS, STRIDES, GreyNetwork, decode
from abaw.video.detecting.registry import network_of, open_detector

LOUD = 4.0


def empty(side: int = 64) -> list[NDArray[np.float32]]:
    grids = [np.zeros((15, side // stride, side // stride), np.float32) for stride in STRIDES]
    for grid in grids:
        grid[0] = -9
    return grids


def say(grid: NDArray[np.float32], stride: int, row: int, column: int, score: float, shift: float = 0.0) -> None:
    """The grid point sees a face of 24 × 32 pixels around (30 + shift, 28), its landmarks at the centre."""
    x, y = (30 + shift) / stride - column, 28 / stride - row
    grid[:, row, column] = [score, x, y, np.log(24 / stride), np.log(32 / stride), *([x, y] * 5)]


def test_both_sides_agree_on_the_strides() -> None:
    assert STRIDES == MODEL_STRIDES


def test_silence_is_no_face() -> None:
    found = decode(empty(), 0.5)
    assert len(found) == 0 and found.landmarks_xy is not None and found.landmarks_xy.shape == (0, 5, 2)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_grid_point_finds_one_face(level: int) -> None:
    grids = empty()
    say(grids[level], STRIDES[level], 0, 0, LOUD)
    found = decode(grids, 0.5)
    np.testing.assert_allclose(found.box_xyxy, [[18, 12, 42, 44]], rtol=1e-4)
    assert found.landmarks_xy is not None
    assert found.score[0] == pytest.approx(1 / (1 + np.exp(-LOUD)))
    np.testing.assert_allclose(found.landmarks_xy[0], [[30, 28]] * 5, rtol=1e-4)


def test_cells_that_see_the_same_face_vote() -> None:
    grids = empty()
    say(grids[0], 8, 3, 3, LOUD)
    say(grids[0], 8, 3, 4, LOUD, shift=4.0)
    found = decode(grids, 0.5)
    assert len(found) == 1
    np.testing.assert_allclose(found.box_xyxy[0], [20, 12, 44, 44], atol=0.01)


def test_faces_apart_are_two_and_the_surest_comes_first() -> None:
    grids = empty(128)
    say(grids[0], 8, 3, 3, 1.0)
    say(grids[0], 8, 3, 12, LOUD, shift=70.0)
    found = decode(grids, 0.5)
    assert found.box_xyxy[:, 0].tolist() == pytest.approx([88, 18], rel=1e-4)
    assert len(decode(grids, 0.9)) == 1


@pytest.mark.parametrize("inner_is_surer", [True, False])
def test_two_faces_do_not_share_a_place(inner_is_surer: bool) -> None:
    """Boxes about one centre that overlap little, as for a large face: the more confident one is kept."""
    grids = empty(128)
    scores = (LOUD, 2.0) if inner_is_surer else (2.0, LOUD)
    grids[0][:, 5, 5] = [scores[0], 0.5, 0.5, np.log(24 / 8), np.log(24 / 8), *([0.5] * 10)]
    grids[1][:, 2, 2] = [scores[1], 1.0, 1.0, np.log(96 / 16), np.log(96 / 16), *([1.0] * 10)]
    (width,) = np.diff(decode(grids, 0.5).box_xyxy[:, [0, 2]])[:, 0]
    assert width == pytest.approx(24 if inner_is_surer else 96)


def test_boxes_without_an_area_do_not_hang() -> None:
    grids = empty()
    grids[0][0, :2] = LOUD
    grids[0][3:5] = -90
    assert len(decode(grids, 0.5)) == 16


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "detector.onnx"
    export_detector(build_detector(0).eval(), path)
    return path


@pytest.mark.parametrize("size", [(64, 96), (320, 320), (352, 640)])
def test_the_graph_says_what_the_network_says(weights: Path, size: tuple[int, int]) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (1, 1, *size)).astype(np.float32)
    with torch.no_grad():
        wanted = build_detector(0).eval()(torch.from_numpy(grey / 255))
    found = onnxruntime.InferenceSession(str(weights)).run(list(OUTPUTS), {"grey": grey})
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other.numpy(), atol=1e-3)


def test_it_is_small_and_known_by_its_outputs(weights: Path) -> None:
    assert weights.stat().st_size <= 600_000
    assert network_of(weights) is GreyNetwork


def test_it_is_a_detector_like_the_others(weights: Path) -> None:
    detector = open_detector(str(weights))
    assert "detector.onnx" in detector.identity
    found = detector.detect(np.full((123, 457, 3), 128, np.uint8))
    assert found.box_xyxy.shape[1] == 4


def test_colour_does_not_matter(weights: Path) -> None:
    network = GreyNetwork(weights, 0.0001, 1)
    picture = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    one, other = network.find(picture), network.find(np.asarray(grey, np.uint8))
    np.testing.assert_allclose(one.box_xyxy, other.box_xyxy, atol=1e-3)
