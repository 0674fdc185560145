"""Crops of faces: aligned ones, with eyes and mouth always at the same places, and the square around a box."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from abaw.stores.crop import ALIGNED_112, ALIGNED_PIXELS, Crop

TEMPLATE_XY: Final = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float64
)
"""Eyes, nose and mouth corners in aligned:112: the standard five-point template (insightface's arcface_dst)."""

_SIDE_PER_SIZE = 1.217
_SHIFT_Y = -0.085
"""The template's crop relative to YuNet's box, medians over real clips: side of the crop in sizes of the box (geometric
mean of its sides), and how far the crop's centre is below that of the box, in the same unit."""


def cut_crop(
    image: NDArray[np.uint8], crop: Crop, box_xyxy: NDArray[np.float32], landmarks_xy: NDArray[np.float32] | None
) -> NDArray[np.uint8]:
    """The crop (N, N, 3) of one face with box (4,) and landmarks (5, 2), None if unknown.

    An aligned crop is placed by the landmarks, or upright by the box alone; its size scales the template. Outside the
    picture every crop is black, as in insightface's crops.
    """
    if crop.margin is not None:
        return warp(image, _matrix_of_square(box_xyxy, crop.pixels, crop.margin), crop.pixels)
    matrix = matrix_from_box(box_xyxy) if landmarks_xy is None else matrix_from_landmarks(landmarks_xy)
    return warp(image, matrix * (crop.pixels / ALIGNED_PIXELS), crop.pixels)


def align(
    image: NDArray[np.uint8], box_xyxy: NDArray[np.float32], landmarks_xy: NDArray[np.float32] | None
) -> NDArray[np.uint8]:
    """`cut_crop` for aligned:112."""
    return cut_crop(image, ALIGNED_112, box_xyxy, landmarks_xy)


def _matrix_of_square(box_xyxy: NDArray[np.float32], pixels: int, margin: float) -> NDArray[np.float64]:
    """(2, 3) from picture to crop: the square with the box's centre and 1 + 2 × margin times its longer side.

    Boxes are edges: pixel k reaches from k to k + 1, and its centre, which the matrix maps, is at k + 0.5.
    """
    x1, y1, x2, y2 = box_xyxy.astype(np.float64)
    side = max(1.0, x2 - x1, y2 - y1) * (1 + 2 * margin)
    scale = pixels / side
    left, top = (x1 + x2 - side) / 2, (y1 + y2 - side) / 2
    return np.array([[scale, 0.0, scale * (0.5 - left) - 0.5], [0.0, scale, scale * (0.5 - top) - 0.5]])


def matrix_from_landmarks(landmarks_xy: NDArray[np.float32]) -> NDArray[np.float64]:
    """(2, 3) from picture to aligned:112: the similarity that brings landmarks (5, 2) closest to the template.

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
    """(2, 3) from picture to aligned:112: an upright square on the box (4,), framed as the template frames a face."""
    x1, y1, x2, y2 = box_xyxy.astype(np.float64)
    size = max(1.0, float(np.sqrt(max(0.0, x2 - x1) * max(0.0, y2 - y1))))
    scale = ALIGNED_PIXELS / (_SIDE_PER_SIZE * size)
    middle = ALIGNED_PIXELS / 2
    centre_x, centre_y = (x1 + x2) / 2, (y1 + y2) / 2 + _SHIFT_Y * size
    return np.array([[scale, 0.0, middle - scale * centre_x], [0.0, scale, middle - scale * centre_y]])


def warp(image: NDArray[np.uint8], matrix: NDArray[np.float64], pixels: int) -> NDArray[np.uint8]:
    """The crop (N, N, 3) of `pixels` N that `matrix` (2, 3) cuts out of a picture (H, W, 3).

    A face more than twice as large as the crop is first shrunk by area averaging, to avoid aliasing of fine texture.
    """
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    shrink = int(1 / scale) if scale > 0 else 1
    if shrink >= 2:
        image, matrix = _shrunk_around(image, matrix, shrink, pixels)
    return np.asarray(cv2.warpAffine(image, matrix, (pixels, pixels), flags=cv2.INTER_LINEAR), np.uint8)


def _shrunk_around(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], shrink: int, pixels: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The part of the picture that the crop needs, `shrink` times smaller, and the matrix from there to the crop."""
    corners = np.array([[0, 0], [pixels, 0], [pixels, pixels], [0, pixels]], np.float64)
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
