"""The detectors by name, or by the outputs of an ONNX file.

A detector is a module of this package with a `NETWORK`, whose class says which files are its own; only _NETWORKS lists
it.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from abaw.core.errors import ConfigError, DataError, nearest
from abaw.core.reading import read_errors
from abaw.video.detecting.detector import Detector, Network
from abaw.video.detecting.graph import Graph, read_graph, require_runs
from abaw.video.detecting.names import AUTO, BUILTIN, DEFAULT_PACK, PACK_PREFIX
from abaw.weights import builtin_detector

_NETWORKS: Final = ("scrfd", "yunet", "builtin")


class NetworkType(Protocol):
    """The class of a Network. title: what it is called in messages."""

    title: str

    def __call__(self, weights: Path, min_score: float | None, threads: int | None) -> Network: ...

    def recognises(self, graph: Graph) -> bool:
        """True for a file that holds weights of this network."""
        ...


def open_detector(name: str, min_score: float | None = None, threads: int | None = None) -> Detector:
    """Load the detector `auto`, `builtin`, `insightface:PACK`, or the path of a SCRFD or YuNet `.onnx`.

    min_score: faces with a lower score are left out, None for the detector's own default; threads: CPU threads, None
    for all. insightface downloads a pack that is not installed. Raises ConfigError for an unknown name, and DataError
    for weights that are missing, cannot be downloaded, belong to no known detector, or do not work in a first pass on
    a black picture.
    """
    # Not needed to refuse a wrong name; it imports OpenCV.
    from abaw.video.detecting.scaled import ScaledDetector

    if name == AUTO:
        # Other names need neither the packs nor onnx, which reads their files.
        from abaw.video.detecting.auto import choose_detector

        name = choose_detector().name
    weights = _weights(name)
    network = network_of(weights)
    if name == BUILTIN:
        return ScaledDetector(network(weights, min_score, threads))
    require_runs(weights)
    with read_errors(weights, f"does not work as {network.title}", "give other weights", (Exception,)):
        detector = ScaledDetector(network(weights, min_score, threads))
        detector.detect(np.zeros((64, 64, 3), np.uint8))
    return detector


def _weights(name: str) -> Path:
    if name == BUILTIN:
        weights = builtin_detector()
    elif name.startswith(PACK_PREFIX):
        # Loaded on use: other detectors do not need it.
        from abaw.video.detecting.packs import fetch_pack

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
    return weights


def network_of(weights: Path) -> NetworkType:
    """The network whose weights a file holds. Raises DataError for any other content."""
    graph = read_graph(weights)
    # Loaded by name: the networks need onnxruntime and OpenCV.
    types: list[NetworkType] = [import_module(f"{__package__}.{name}").NETWORK for name in _NETWORKS]
    for network in types:
        if network.recognises(graph):
            return network
    raise DataError(
        f"{weights}: holds none of the known face detectors ({', '.join(network.title for network in types)}); its "
        f"outputs are {', '.join(graph.outputs[:6]) or 'none'}. Give the weights of one of these detectors"
    )
