"""YuNet, the detector that OpenCV runs by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from abaw.core.artifacts import file_hash
from abaw.video.detecting.detections import Detections
from abaw.video.detecting.detector import shape_of_picture, whole_strides
from abaw.video.detecting.graph import Graph

_OUTPUTS = {f"{part}_{stride}" for part in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32)}
_MAX_MODELS = 8


class YuNetNetwork:
    """YuNet (doi 10.1007/s11633-023-1423-y) through OpenCV, at the picture's own shape, long side at most 640."""

    title = "YuNet"

    def __init__(self, weights: Path, min_score: float | None, threads: int | None) -> None:
        if threads is not None:
            cv2.setNumThreads(threads)
        self._weights = weights
        self._min_score = 0.6 if min_score is None else min_score
        self._models: dict[tuple[int, int], Any] = {}
        self.identity = f"yunet {weights.name} {file_hash(weights)[:16]}"

    @staticmethod
    def recognises(graph: Graph) -> bool:
        return set(graph.outputs) == _OUTPUTS

    def _model(self, size_wh: tuple[int, int]) -> Any:
        """One model per canvas size: changing the size of a model takes as long as a pass over a small canvas."""
        if size_wh not in self._models:
            if len(self._models) == _MAX_MODELS:
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


NETWORK = YuNetNetwork
