"""SCRFD: the detector of insightface's packs, and its .onnx files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from abaw.core.artifacts import file_hash
from abaw.core.onnx_session import has_cuda, session_options
from abaw.video.detecting.detections import Detections
from abaw.video.detecting.detector import LONG_SIDE
from abaw.video.detecting.graph import Graph

_NUM_OUTPUTS: Final = (6, 9, 10, 15)
"""Two or three outputs (scores, boxes, landmarks) for each of three or five strides."""


class ScrfdNetwork:
    """SCRFD (arXiv 2105.04714) through insightface's loader, on CUDA where onnxruntime has it.

    The canvas has the file's input size where that is fixed, otherwise 640×640.
    """

    title = "SCRFD"

    def __init__(self, weights: Path, min_score: float | None, threads: int | None) -> None:
        # It takes seconds to import, and a file of another detector does not need it.
        from insightface.model_zoo import get_model

        providers = ["CUDAExecutionProvider", "CPUExecutionProvider"] if has_cuda() else ["CPUExecutionProvider"]
        self._model: Any = get_model(str(weights), providers=providers, sess_options=session_options(threads))
        self._min_score = 0.5 if min_score is None else min_score
        self._size_wh: tuple[int, int] = self._model.static_input_size or (LONG_SIDE, LONG_SIDE)
        self.identity = f"scrfd {weights.name} {file_hash(weights)[:16]}"

    @staticmethod
    def recognises(graph: Graph) -> bool:
        """Scores, boxes and landmarks of each stride have rows of 1, 4 and 10 values; widths may be open."""
        num = len(graph.outputs)
        if num not in _NUM_OUTPUTS or graph.num_inputs != 1:
            return False
        strides = 5 if num in (10, 15) else 3
        return all(not width or width == (1, 4, 10)[index // strides] for index, width in enumerate(graph.widths))

    def canvas_wh(self, image_wh: tuple[int, int]) -> tuple[int, int]:
        return self._size_wh

    def mosaic_wh(self, side: int) -> tuple[int, int]:
        return self._size_wh

    def find(self, canvas_bgr: NDArray[np.uint8]) -> Detections:
        rows, points = self._model.detect(canvas_bgr, input_size=self._size_wh, det_thresh=self._min_score)
        rows = np.asarray(rows, np.float32).reshape(-1, 5)
        landmarks = None if points is None else np.asarray(points, np.float32).reshape(-1, 5, 2)
        return Detections(rows[:, :4], rows[:, 4], landmarks)


NETWORK = ScrfdNetwork
