"""A teacher's score at every grid point of a scene: what the detector learns beyond "a face" or "none"."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.core.onnx_session import start_session
from abaw.detector.network import STRIDES
from abaw.video.detecting.graph import read_graph
from abaw.video.detecting.yunet import NETWORK


class DenseTeacher:
    """YuNet, whose grids have the same points as FaceDetector's.

    Raises DataError for a file that is no YuNet.
    """

    def __init__(self, weights: Path) -> None:
        if not weights.is_file() or not NETWORK.recognises(read_graph(weights)):
            raise DataError(
                f"{weights}: loss.teacher needs a teacher with a score at every grid point, a YuNet .onnx file; give "
                "one as --teacher, or set --loss.teacher 0"
            )
        self._session: Any = start_session(str(weights), 1)
        self._input: str = self._session.get_inputs()[0].name

    def scores(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(B, L) 0..1 for grey pictures (B, H, W) with sides that are multiples of 32, in the order of `loss.flat`.

        The score is the geometric mean of the network's two answers, as in OpenCV's FaceDetectorYN.
        """
        colours = np.repeat(pictures[:, None].astype(np.float32), 3, axis=1)
        wanted = [f"{part}_{stride}" for part in ("cls", "obj") for stride in STRIDES]
        answers = [np.clip(grid[..., 0], 0, 1) for grid in self._session.run(wanted, {self._input: colours})]
        pairs = zip(answers[: len(STRIDES)], answers[len(STRIDES) :], strict=True)
        return np.concatenate([np.sqrt(first * second) for first, second in pairs], axis=1).astype(np.float32)
