"""A figure of queries and their nearest neighbours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from abaw.core.seed import numpy_generator
from abaw.data.face_set import FaceSet
from abaw.data.images import ImageReader
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.viewer.face_grid import Tile, write_grid

_NEIGHBOURS_SHOWN, _SIDE_SHOWN = 8, 112
_SAME, _OTHER = "#009e73", "#d55e00"


def write_retrieval(path: Path, queries: FaceSet, gallery: FaceSet, neighbours: NDArray[np.int64], seed: int) -> None:
    """Write a PNG with one row per class: a random query and its neighbours; the frames show which share its label.

    neighbours: (M, K) indices into the gallery for each of the M queries, nearest first.
    """
    chosen = [
        int(numpy_generator(seed, "query", int(label)).choice(np.flatnonzero(queries.labels == label)))
        for label in np.unique(queries.labels)
    ]
    query_reader, gallery_reader = (ImageReader(faces, _SIDE_SHOWN, cache_mb=0) for faces in (queries, gallery))
    rows = []
    for query, label in zip(chosen, queries.labels[chosen], strict=True):
        near = neighbours[query, :_NEIGHBOURS_SHOWN]
        images = [*query_reader.read(np.array([query])).images, *gallery_reader.read(near).images]
        labels = [label, *gallery.labels[near]]
        frames = [None, *(_SAME if other == label else _OTHER for other in labels[1:])]
        rows.append(
            [
                Tile(picture.permute(1, 2, 0).numpy(), frame, EXPRESSION_CLASSES[int(each)])
                for picture, frame, each in zip(images, frames, labels, strict=True)
            ]
        )
    count = len(rows[0]) - 1
    write_grid(path, rows, heads=("query", *(f"{k + 1}" for k in range(count))), title="queries and nearest neighbours")
