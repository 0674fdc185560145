"""Every detector finds the rendered faces, frontal and half turned, in at least 96 % of the frames that show one."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from abaw.demo.dataset import plan_videos
from abaw.demo.shots import Shot, film_video, performance
from abaw.demo.size import DemoSize
from abaw.video.detecting.registry import open_detector

_SIZE = DemoSize(train_videos=14, frames_per_video=128, segments_per_video=4)
_EVERY = 11
_HALF_TURNED = 18.0


@cache
def shots() -> list[tuple[Shot, npt.NDArray[np.float32]]]:
    """Every 11th frame of some videos with the yaw (degrees) of each person in it; one video shows two people."""
    found = []
    for plan in plan_videos(_SIZE, seed=3)[0]:
        yaws = np.stack([performance(plan, person).yaw for person in range(len(plan.classes))], 1)
        found += [(shot, yaw) for shot, yaw in list(zip(film_video(plan), yaws, strict=True))[::_EVERY]]
    return found


def rates(detector_name: str, every: int = 1) -> tuple[float, float, float]:
    """Share of faces found, of half-turned faces found, and false boxes per face.

    every: use every N-th shot, for the slower detectors.
    """
    detector = open_detector(detector_name)
    hits, turned, false = [], [], 0
    for shot, yaw in shots()[::every]:
        boxes = detector.detect(shot.image).box_xyxy
        taken = np.zeros(len(boxes), bool)
        for landmarks, angle in zip(shot.landmarks_xy, yaw, strict=False):
            inside = np.array([_holds(box, landmarks) for box in boxes], bool)
            taken |= inside
            hits.append(bool(inside.any()))
            if abs(angle) > _HALF_TURNED:
                turned.append(bool(inside.any()))
        false += int((~taken).sum())
    assert len(hits) > 150 // every
    assert len(turned) > 10 // every
    return float(np.mean(hits)), float(np.mean(turned)), false / len(hits)


def _holds(box: npt.NDArray[np.float32], landmarks_xy: npt.NDArray[np.float32]) -> bool:
    """Whether the box belongs to this face: its landmarks are inside and fill a fair part of it."""
    low, high = landmarks_xy.min(0), landmarks_xy.max(0)
    inside = (box[:2] <= low + 2).all() and (box[2:] >= high - 2).all()
    return bool(inside and (high - low).max() > 0.25 * (box[2:] - box[:2]).max())


@pytest.mark.slow
def test_the_detector_without_download() -> None:
    found, turned, false = rates("builtin")
    assert found >= 0.96
    assert turned >= 0.96
    assert false < 0.02


@pytest.mark.parametrize(
    ("weights", "every"),
    [
        ("yunet_n_dynamic.onnx", 1),
        ("scrfd_500m_kps_640.onnx", 2),
        ("scrfd_2.5g_kps_320.onnx", 2),
        ("scrfd_2.5g_kps_640.onnx", 3),
    ],
)
def test_detectors_with_weights(shared_data: Path, weights: str, every: int) -> None:
    found, turned, false = rates(str(shared_data / "models" / weights), every)
    assert found >= 0.96
    assert turned >= 0.96
    assert false < 0.02
