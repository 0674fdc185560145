"""Training crops of the landmark network: faces of photos, placed as by a detector that is slightly wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from abaw.core.data_parallel import Part
from abaw.core.seed import numpy_generator
from abaw.detector.augment import cover, damage, dim, relight, turn_head
from abaw.detector.photos import FacePhotos
from abaw.video.align import warp
from abaw.video.detecting.detections import MIRRORED
from abaw.video.detecting.landmarks import SIDE, TEMPLATE, placement

_SHIFT, _SCALE, _DEGREES, _POINTS = 0.08, 0.1, 7.0, 0.07
"""Standard deviations of the detector's errors that are imitated: of all landmarks together (shift in distances between
the eyes, logarithm of the scale, rotation) and of each one alone (in distances between the eyes)."""
_TURNED, _COVERED, _COARSE, _DARK = 0.25, 0.15, 0.5, 0.15
"""Shares of crops with the head turned further, something in front of the face, few pixels, and low light."""
_SMALLEST: Final = 14.0
"""Smallest side of a crop, in pixels, that is scaled up."""


class CropBatch(NamedTuple):
    """B crops. pictures: (B, 1, S, S) uint8, later float 0..1; offsets: (B, 10) what the network should return; ids:
    (B,) names for messages."""

    pictures: Tensor
    offsets: Tensor
    ids: Sequence[str]


class CropBatches:
    """(step, part) -> a batch of new crops, others for each part; equal arguments give equal crops."""

    def __init__(self, photos: FacePhotos, batch_size: int, seed: int) -> None:
        self._photos, self._batch_size, self._seed = photos, batch_size, seed

    def __call__(self, step: int, part: Part) -> CropBatch:
        rng = numpy_generator(self._seed, "landmark crops", step, part.index)
        rows = rng.integers(len(self._photos), size=self._batch_size).tolist()
        names = [self._photos.names[row] for row in rows]
        return collate([training_crop(self._photos, row, rng) for row in rows], names)


def collate(crops: Sequence[tuple[NDArray[np.uint8], NDArray[np.float32]]], ids: Sequence[str]) -> CropBatch:
    pictures = torch.from_numpy(np.stack([picture for picture, _ in crops])[:, None])
    return CropBatch(pictures, torch.from_numpy(np.stack([offsets for _, offsets in crops])), ids)


def training_crop(
    photos: FacePhotos, row: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A crop (SIDE, SIDE) of a photo, changed at random, and the offsets (10,) of its landmarks."""
    picture, box = photos.pictures[row], photos.box_xyxy[row].astype(np.float64)
    points = photos.landmarks_xy[row].astype(np.float64)
    if rng.random() < _TURNED:
        picture, box, points = turn_head(picture, box, points, rng)
    if rng.random() < 0.5:
        picture, box, points = _mirrored(picture, box, points)
    if rng.random() < _COVERED:
        picture = cover(picture, box, rng)
    guess = wrong_guess(points, rng)
    matrix = placement(guess)
    crop = relight(warp(picture, matrix, SIDE), rng)
    if rng.random() < _COARSE:
        crop = _coarse(crop, rng)
    if rng.random() < _DARK:
        crop = dim(crop, rng)
    there = points @ matrix[:, :2].T + matrix[:, 2]
    return damage(crop, rng), ((there - TEMPLATE) / SIDE).astype(np.float32).ravel()


def wrong_guess(points: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float32]:
    """Landmarks (5, 2) as a detector that is slightly wrong would return them for a face with landmarks `points`."""
    eyes, mouth = points[:2], points[3:]
    height = float(np.linalg.norm(eyes.mean(axis=0) - mouth.mean(axis=0)))
    # In a profile the eyes are close to each other.
    unit = max(float(np.linalg.norm(eyes[1] - eyes[0])), height / 2, 1.0)
    angle, scale = np.radians(rng.normal(0, _DEGREES)), np.exp(rng.normal(0, _SCALE))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = points.mean(axis=0)
    errors = unit * (rng.normal(0, _SHIFT, 2) + rng.normal(0, _POINTS, points.shape))
    return np.asarray((points - centre) @ turn.T + centre + errors, np.float32)


def _mirrored(
    picture: NDArray[np.uint8], box: NDArray[np.float64], points: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]:
    width = picture.shape[1]
    there = points[list(MIRRORED)] * [-1, 1] + [width, 0]
    return np.ascontiguousarray(picture[:, ::-1]), np.array([width - box[2], box[1], width - box[0], box[3]]), there


def _coarse(crop: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """As if the face had been small: scaled down and up again."""
    side = int(np.exp(rng.uniform(np.log(_SMALLEST), np.log(SIDE))))
    small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)
