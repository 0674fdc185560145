"""Face detection: one protocol, several detectors, chosen by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import ConfigError, DataError, nearest

BUILTIN = "builtin"
AUTO = "auto"
PACK_PREFIX = "insightface:"
DEFAULT_PACK = "buffalo_l"


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """The N faces of one picture, in its pixels, best first.

    box_xyxy: (N, 4) float32; score: (N,) float32; landmarks_xy: (N, 5, 2) float32 (eye, eye, nose, mouth corner, mouth
    corner; the viewer's left before the right), or None from a detector that gives boxes only.
    """

    box_xyxy: NDArray[np.float32]
    score: NDArray[np.float32]
    landmarks_xy: NDArray[np.float32] | None

    def __post_init__(self) -> None:
        num = len(self.box_xyxy)
        if self.box_xyxy.shape != (num, 4):
            raise ValueError(f"box_xyxy: expected shape (N, 4), found {self.box_xyxy.shape}")
        if self.score.shape != (num,):
            raise ValueError(f"score: expected shape ({num},), found {self.score.shape}")
        if self.landmarks_xy is not None and self.landmarks_xy.shape != (num, 5, 2):
            raise ValueError(f"landmarks_xy: expected shape ({num}, 5, 2), found {self.landmarks_xy.shape}")

    def __len__(self) -> int:
        return len(self.box_xyxy)


class Detector(Protocol):
    """identity: name and hash of the weights, for provenance."""

    @property
    def identity(self) -> str: ...

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Faces of one RGB picture, (H, W, 3) uint8."""
        ...

    def detect_regions(
        self, images: Sequence[NDArray[np.uint8]], regions_xyxy: NDArray[np.int32], side: int
    ) -> list[Detections]:
        """Faces of region i (4,), a square that may leave the picture, of RGB picture i, in the picture's pixels.

        side: to how many pixels a region is brought.
        """
        ...

    def regions_at_once(self, side: int) -> int:
        """How many regions of `side` pixels cost as much as one."""
        ...


def resolve_detector(name: str) -> str:
    """What `auto` stands for here: the default insightface pack where it is found, the builtin one elsewhere.

    Any other name is returned as it is; nothing is downloaded.
    """
    if name != AUTO:
        return name
    from abaw.video.detecting.weights import find_pack

    return f"{PACK_PREFIX}{DEFAULT_PACK}" if find_pack(DEFAULT_PACK) is not None else BUILTIN


def open_detector(name: str, min_score: float | None = None, threads: int | None = None) -> Detector:
    """Load the detector `auto`, `builtin`, `insightface:PACK`, or the path of a SCRFD or YuNet `.onnx`.

    min_score: faces below it are left out, None for the detector's own default; threads: CPU threads, None for all.
    A pack that is not there is downloaded by insightface. Raises ConfigError for an unknown name and DataError for
    weights that are missing, cannot be downloaded, or belong to no known detector.
    """
    name = resolve_detector(name)
    if name == BUILTIN:
        from abaw.weights import builtin_detector

        weights = builtin_detector()
    elif name.startswith(PACK_PREFIX):
        from abaw.video.detecting.weights import fetch_pack

        weights = fetch_pack(name.removeprefix(PACK_PREFIX))
    elif name.endswith(".onnx"):
        weights = Path(name)
    else:
        known = (AUTO, BUILTIN, f"{PACK_PREFIX}{DEFAULT_PACK}")
        raise ConfigError(
            f"no detector '{name}'; give {BUILTIN}, {PACK_PREFIX}PACK, or the path of a SCRFD or YuNet .onnx file."
            f"{nearest(name, known)}"
        )
    if not weights.is_file():
        raise DataError(f"{weights}: no such detector weights; check the path, or use '{BUILTIN}'")
    return _open_onnx(weights, min_score, threads)


def _open_onnx(weights: Path, min_score: float | None, threads: int | None) -> Detector:
    from abaw.video.detecting.builtin import GreyNetwork
    from abaw.video.detecting.networks import Network, ScrfdNetwork, YuNetNetwork
    from abaw.video.detecting.scales import ScaledDetector
    from abaw.video.detecting.weights import detector_kind

    networks: dict[str, Callable[[Path, float | None, int | None], Network]] = {
        "scrfd": ScrfdNetwork,
        "yunet": YuNetNetwork,
        "grey": GreyNetwork,
    }
    return ScaledDetector(networks[detector_kind(weights)](weights, min_score, threads))
