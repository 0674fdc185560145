"""The neural detectors, each on one canvas of its own size."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import onnxruntime
from insightface.model_zoo import get_model
from numpy.typing import NDArray

from abaw.core.artifacts import file_hash
from abaw.video.detecting.detector import Detections

LONG_SIDE = 640
_STRIDE = 32
"""Canvases of a network that takes any size have sides that are multiples of it."""
_YUNET_MODELS = 8


class Network(Protocol):
    """A detector without a notion of scale.

    canvas_wh: the size of canvas that it wants for a picture of `image_wh`; mosaic_wh: the canvas on which it looks at
    many regions of `side` pixels at once, one that holds a single region where small canvases cost little; find: faces
    of a BGR canvas (H, W, 3).
    """

    @property
    def identity(self) -> str: ...

    def canvas_wh(self, image_wh: tuple[int, int]) -> tuple[int, int]: ...

    def mosaic_wh(self, side: int) -> tuple[int, int]: ...

    def find(self, canvas_bgr: NDArray[np.uint8]) -> Detections: ...


def shape_of_picture(image_wh: tuple[int, int]) -> tuple[int, int]:
    """The canvas of about the picture's own shape, long side at most LONG_SIDE."""
    scale = min(1.0, LONG_SIDE / max(image_wh))
    width, height = (max(1, round(side * scale / _STRIDE)) * _STRIDE for side in image_wh)
    return width, height


def whole_strides(side: int) -> int:
    """The smallest canvas that holds `side` pixels."""
    return -(-side // _STRIDE) * _STRIDE


class ScrfdNetwork:
    """SCRFD (arXiv 2105.04714) through insightface's loader, on CUDA where onnxruntime has it.

    A file with a fixed input size gets canvases of that size, any other 640×640.
    """

    def __init__(self, weights: Path, min_score: float | None, threads: int | None) -> None:
        available = onnxruntime.get_available_providers()
        cuda = "CUDAExecutionProvider" in available
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        providers = ["CUDAExecutionProvider", "CPUExecutionProvider"] if cuda else ["CPUExecutionProvider"]
        self._model: Any = get_model(str(weights), providers=providers, sess_options=options)
        self._min_score = 0.5 if min_score is None else min_score
        self._size_wh: tuple[int, int] = self._model.static_input_size or (LONG_SIDE, LONG_SIDE)
        self.identity = f"scrfd {weights.name} {file_hash(weights)[:16]}"

    def canvas_wh(self, image_wh: tuple[int, int]) -> tuple[int, int]:
        return self._size_wh

    def mosaic_wh(self, side: int) -> tuple[int, int]:
        return self._size_wh

    def find(self, canvas_bgr: NDArray[np.uint8]) -> Detections:
        rows, points = self._model.detect(canvas_bgr, input_size=self._size_wh, det_thresh=self._min_score)
        rows = np.asarray(rows, np.float32).reshape(-1, 5)
        landmarks = None if points is None else np.asarray(points, np.float32).reshape(-1, 5, 2)
        return Detections(rows[:, :4], rows[:, 4], landmarks)


class YuNetNetwork:
    """YuNet (doi 10.1007/s11633-023-1423-y) through OpenCV, at the picture's own shape, long side at most 640."""

    def __init__(self, weights: Path, min_score: float | None, threads: int | None) -> None:
        if threads is not None:
            cv2.setNumThreads(threads)
        self._weights = weights
        self._min_score = 0.6 if min_score is None else min_score
        self._models: dict[tuple[int, int], Any] = {}
        self.identity = f"yunet {weights.name} {file_hash(weights)[:16]}"

    def _model(self, size_wh: tuple[int, int]) -> Any:
        """One model a canvas size: to change the size of one takes as long as a look at a small canvas."""
        if size_wh not in self._models:
            if len(self._models) == _YUNET_MODELS:
                self._models.clear()
            self._models[size_wh] = self._load(size_wh)
        return self._models[size_wh]

    def _load(self, size_wh: tuple[int, int]) -> Any:
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # OpenCV 5 warns that it runs on the CPU
        try:
            return cv2.FaceDetectorYN.create(str(self._weights), "", size_wh, self._min_score, 0.3, 5000)
        finally:
            cv2.utils.logging.setLogLevel(level)

    def canvas_wh(self, image_wh: tuple[int, int]) -> tuple[int, int]:
        return shape_of_picture(image_wh)

    def mosaic_wh(self, side: int) -> tuple[int, int]:
        return whole_strides(side), whole_strides(side)

    def find(self, canvas_bgr: NDArray[np.uint8]) -> Detections:
        found = self._model((canvas_bgr.shape[1], canvas_bgr.shape[0])).detect(canvas_bgr)[1]
        rows = np.empty((0, 15), np.float32) if found is None else np.asarray(found, np.float32)
        order = np.argsort(-rows[:, 14], kind="stable")
        rows = rows[order]
        box = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
        return Detections(box, rows[:, 14].copy(), rows[:, 4:14].reshape(-1, 5, 2))
