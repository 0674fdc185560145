"""Exported models, run by onnxruntime.

Shapes: B batch, N face, S side in pixels, T time, D feature, C class, O outputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from abaw.core.device import Device
from abaw.core.onnx_session import on_the_processor, start_on_cuda, start_session
from abaw.core.reading import read_errors
from abaw.models.image_input import image_input
from abaw.stores.exported import CROPS, FEATURES, LOGITS, OUTPUTS, PRESENT, Exported
from abaw.stores.sources import spec_sources
from abaw.stores.spec import CheckpointError

_AGAIN = "export the checkpoint again (`abaw export`)"


class _Session:
    """A graph on the device, or on the processor with a note that says why. feed: inputs to try it with."""

    def __init__(
        self,
        exported: Exported,
        model: onnx.ModelProto,
        feed: dict[str, NDArray[Any]],
        device: Device = "cpu",
        threads: int | None = None,
    ) -> None:
        self.notes: tuple[str, ...] = ()
        source = model.SerializeToString()
        if device == "cuda":
            session, reason = start_on_cuda(source, threads, lambda session: session.run(None, feed))
            if session is not None:
                self._session = session
                return
            self.notes = (on_the_processor(str(exported.path), reason),)
        with read_errors(exported.path, "does not run", _AGAIN, (Exception,), CheckpointError):
            self._session = start_session(source, threads)
            self._session.run(None, feed)

    def run(self, output: str, **inputs: NDArray[Any]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self._session.run([output], inputs)[0]
        return found


class ExportedStatic:
    """A static model. Raises CheckpointError when it does not run."""

    def __init__(self, exported: Exported, device: Device = "cpu", threads: int | None = None) -> None:
        side = image_input(exported.spec).size
        self._images = _Session(
            exported, exported.model, {CROPS: np.zeros((1, 3, side, side), np.uint8)}, device, threads
        )
        self.notes = self._images.notes
        # A few numbers per face: the processor is fast enough.
        faces = np.zeros((1, exported.spec.feature_dim), np.float32)
        self._head = _Session(exported, exported.head(), {FEATURES: faces}, threads=threads)

    def features(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Crops (B, 3, S, S) uint8 RGB -> (B, D)."""
        return self._images.run(FEATURES, crops=crops)

    def classify(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """Features (N, D) -> logits (N, C)."""
        return self._head.run(LOGITS, features=features.astype(np.float32))


class ExportedTemporal:
    """A temporal model. Raises CheckpointError when it does not run."""

    def __init__(self, exported: Exported, device: Device = "cpu", threads: int | None = None) -> None:
        spec = exported.spec
        one = {
            FEATURES: np.zeros((1, 1, spec.feature_dim), np.float32),
            PRESENT: np.ones((1, 1, len(spec_sources(spec))), np.bool_),
        }
        self._windows = _Session(exported, exported.model, one, device, threads)

    def __call__(self, features: NDArray[np.floating], present: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Features (B, T, D) and present (B, T, sources) -> outputs (B, T, O)."""
        return self._windows.run(OUTPUTS, features=features.astype(np.float32), present=present)
