"""Stores and annotations are opened by path, whatever its type."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import abaw
from abaw.protocol.annotations import write_annotation
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.stores.predictions import Predictions, write_predictions
from tests.importing.features.writers import make_faces
from tests.pipelines.temporal_data import make_split

NUM_FRAMES = 30


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("stores")
    make_split(made, "Train_Set", ["clip"], num_frames=NUM_FRAMES)
    make_faces(made / "faces", "clip", num_frames=NUM_FRAMES)
    probs = np.full((NUM_FRAMES, 8), 0.125, np.float32)
    frames, everywhere = np.arange(1, NUM_FRAMES + 1, dtype=np.int32), np.ones(NUM_FRAMES, np.bool_)
    write_predictions(
        made / "predictions" / "clip.arrow",
        Predictions("clip", EXPRESSION_CLASSES, frames, everywhere, everywhere, probs, {}),
    )
    write_annotation(made / "labels" / "clip.txt", np.arange(NUM_FRAMES) % 8)
    return made


def _paths(path: Path) -> list[str | os.PathLike[str]]:
    (entry,) = (each for each in os.scandir(path.parent) if each.name == path.name)
    return [str(path), path, entry]


def test_stores_and_annotations_are_opened_by_any_path(root: Path) -> None:
    for path in _paths(root / "faces" / "clip.arrow"):
        faces = abaw.read_faces(path)
        assert (faces.name, faces.store.table.num_rows) == ("clip", NUM_FRAMES)
    for path in _paths(root / "features" / "clip.arrow"):
        features = abaw.read_features(path)
        assert (features.name, features.store.table.num_rows) == ("clip", NUM_FRAMES)
    for path in _paths(root / "predictions" / "clip.arrow"):
        predictions = abaw.read_predictions(path)
        assert (predictions.name, predictions.probs.shape) == ("clip", (NUM_FRAMES, 8))
    for path in _paths(root / "labels"):
        annotations = abaw.read_annotations(path)
        assert list(annotations) == ["clip"]
        np.testing.assert_array_equal(annotations["clip"].labels, np.arange(NUM_FRAMES) % 8)


@pytest.mark.parametrize(
    ("function", "name", "expected"),
    [
        ("read_faces", "features/clip.arrow", "expected a store of faces, found features"),
        ("read_features", "faces/clip.arrow", "expected a store of features, found faces"),
        ("read_predictions", "nothing.arrow", "nothing.arrow"),
        ("read_annotations", "faces", "no annotation file"),
    ],
)
def test_other_files_are_refused(root: Path, function: str, name: str, expected: str) -> None:
    with pytest.raises(abaw.AbawError, match=expected):
        getattr(abaw, function)(str(root / name))
