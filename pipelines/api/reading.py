"""Stores and annotations, opened by path."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from abaw.protocol.annotations import Annotation
    from abaw.stores.faces import FaceStore
    from abaw.stores.features import FeatureStore
    from abaw.stores.predictions import Predictions

PathLike = str | os.PathLike[str]
"""What functions take for a path."""


def read_faces(path: PathLike) -> FaceStore:
    """One store of faces. Raises StoreError when the file is missing, damaged or of another kind."""
    # Loaded on use: `import abaw` is answered without it.
    from abaw.stores.faces import open_faces

    return open_faces(Path(path))


def read_features(path: PathLike) -> FeatureStore:
    """One store of features. Raises StoreError when the file is missing, damaged or of another kind."""
    # Loaded on use: `import abaw` is answered without it.
    from abaw.stores.features import open_features

    return open_features(Path(path))


def read_predictions(path: PathLike) -> Predictions:
    """One store of predictions. Raises StoreError when the file is missing, damaged or of another kind."""
    # Loaded on use: `import abaw` is answered without it.
    from abaw.stores import predictions

    return predictions.read_predictions(Path(path))


def read_annotations(folder: PathLike) -> dict[str, Annotation]:
    """All annotations of a folder by name. Raises DataError when there is none."""
    # Loaded on use: `import abaw` is answered without it.
    from abaw.protocol import annotations

    return annotations.read_annotations(Path(folder))
