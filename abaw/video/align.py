"""Aligned crops: 112×112 RGB, eyes and mouth always at the same places."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

CROP_SIZE: Final = 112

TEMPLATE_XY: Final = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float64
)
"""Eyes, nose and mouth corners in a crop of CROP_SIZE: the standard five-point template (insightface's arcface_dst)."""

_SIDE_PER_SIZE = 1.217
_SHIFT_Y = -0.085
"""The template's crop relative to YuNet's box, medians over real clips: side of the crop in sizes of the box (geometric
mean of its sides), and how far the crop's centre is below that of the box, in the same unit."""


def align(
    image: NDArray[np.uint8], box_xyxy: NDArray[np.float32], landmarks_xy: NDArray[np.float32] | None
) -> NDArray[np.uint8]:
    """The aligned crop (112, 112, 3) of one face, by its landmarks (5, 2), or upright by its box (4,) alone.

    Outside the picture the crop is black, as in insightface's crops.
    """
    matrix = matrix_from_box(box_xyxy) if landmarks_xy is None else matrix_from_landmarks(landmarks_xy)
    return warp(image, matrix)


def matrix_from_landmarks(landmarks_xy: NDArray[np.float32]) -> NDArray[np.float64]:
    """(2, 3) from picture to crop: the rotation, scale and shift that bring landmarks (5, 2) closest to the template.

    Least squares over similarities without reflection, in closed form: with points as complex numbers, w = a·z + b.
    """
    points = landmarks_xy.astype(np.float64)
    source, target = (xy[:, 0] + 1j * xy[:, 1] for xy in (points, TEMPLATE_XY))
    from_centre = source - source.mean()
    spread = np.vdot(from_centre, from_centre).real
    a = np.vdot(from_centre, target - target.mean()) / max(spread, 1e-9)
    b = target.mean() - a * source.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def matrix_from_box(box_xyxy: NDArray[np.float32]) -> NDArray[np.float64]:
    """(2, 3) from picture to crop: an upright square on the box (4,), framed as the template frames a frontal face."""
    x1, y1, x2, y2 = box_xyxy.astype(np.float64)
    size = max(1.0, float(np.sqrt(max(0.0, x2 - x1) * max(0.0, y2 - y1))))
    scale = CROP_SIZE / (_SIDE_PER_SIZE * size)
    middle = CROP_SIZE / 2
    centre_x, centre_y = (x1 + x2) / 2, (y1 + y2) / 2 + _SHIFT_Y * size
    return np.array([[scale, 0.0, middle - scale * centre_x], [0.0, scale, middle - scale * centre_y]])


def warp(image: NDArray[np.uint8], matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The crop (112, 112, 3) that `matrix` (2, 3) cuts out of a picture (H, W, 3).

    A face more than twice as large as the crop is first shrunk by area averaging, to avoid aliasing of fine texture.
    """
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    shrink = int(1 / scale) if scale > 0 else 1
    if shrink >= 2:
        image, matrix = _shrunk_around(image, matrix, shrink)
    return np.asarray(cv2.warpAffine(image, matrix, (CROP_SIZE, CROP_SIZE), flags=cv2.INTER_LINEAR), np.uint8)


def _shrunk_around(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], shrink: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The part of the picture that the crop needs, `shrink` times smaller, and the matrix from there to the crop."""
    corners = np.array([[0, 0], [CROP_SIZE, 0], [CROP_SIZE, CROP_SIZE], [0, CROP_SIZE]], np.float64)
    places = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    limits = np.array(image.shape[1::-1])
    low = np.clip(np.floor(places.min(axis=0)) - shrink, 0, limits).astype(int)
    high = np.clip(np.ceil(places.max(axis=0)) + shrink, 0, limits).astype(int)
    size = (high - low) // shrink
    if size.min() < 1:
        return image, matrix
    high = low + size * shrink
    small = cv2.resize(
        image[low[1] : high[1], low[0] : high[0]], (int(size[0]), int(size[1])), interpolation=cv2.INTER_AREA
    )
    # Pixel k of the small picture is the mean of pixels k·shrink … k·shrink + shrink − 1: its centre is between them.
    origin = low + (shrink - 1) / 2
    moved = np.concatenate([matrix[:, :2] * shrink, (matrix[:, :2] @ origin + matrix[:, 2])[:, None]], axis=1)
    return np.asarray(small, np.uint8), moved
