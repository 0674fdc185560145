from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from abaw.protocol.classes import ACTION_UNITS, EXPRESSION_CLASSES, VALENCE_AROUSAL
from abaw.stores.arrow import StoreError, write_store
from abaw.stores.predictions import KIND, Predictions, predictions_schema, read_predictions, write_predictions


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(0, 20))
def test_round_trip(data: st.DataObject, num_frames: int) -> None:
    predicted = data.draw(hnp.arrays(bool, num_frames))
    valid = data.draw(hnp.arrays(bool, num_frames))
    probs = data.draw(hnp.arrays(np.float32, (num_frames, 8), elements=st.floats(0, 1, width=32)))
    frames = np.arange(1, num_frames + 1, dtype=np.int32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a b é.arrow"
        written = Predictions("a b é", EXPRESSION_CLASSES, frames, valid, predicted, probs, {"fps": 25.0})
        assert write_predictions(path, written) == num_frames
        read = read_predictions(path)
    assert (read.name, read.classes, len(read)) == ("a b é", EXPRESSION_CLASSES, num_frames)
    assert read.meta["fps"] == 25.0
    for name in ("frames", "valid", "predicted"):
        assert np.array_equal(getattr(read, name), getattr(written, name)), name
    assert read.probs.dtype == np.float32
    assert read.valence_arousal is None and read.action_units is None
    assert np.array_equal(read.probs, np.where(predicted[:, None], probs, 0))


def test_other_tasks_add_their_columns(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    predicted = np.array([True, False, True])
    written = Predictions(
        "v",
        EXPRESSION_CLASSES,
        np.arange(1, 4, dtype=np.int32),
        predicted,
        predicted,
        generator.random((3, 8), dtype=np.float32),
        {},
        valence_arousal=generator.random((3, 2), dtype=np.float32),
        action_units=generator.random((3, 12), dtype=np.float32),
    )
    write_predictions(tmp_path / "v.arrow", written)
    read = read_predictions(tmp_path / "v.arrow")
    for name in ("valence_arousal", "action_units"):
        values = getattr(written, name)
        assert np.array_equal(getattr(read, name), np.where(predicted[:, None], values, 0)), name
    with pa.ipc.open_file(str(tmp_path / "v.arrow")) as reader:
        assert reader.schema.names[2:] == [*EXPRESSION_CLASSES, *VALENCE_AROUSAL, *ACTION_UNITS]


def test_columns_are_named_after_the_classes(tmp_path: Path) -> None:
    one = np.ones(1, bool)
    predictions = Predictions(
        "v", ("Yes", "No"), np.array([1], np.int32), one, one, np.array([[0.25, 0.75]], np.float32), {}
    )
    write_predictions(tmp_path / "v.arrow", predictions)
    with pa.ipc.open_file(str(tmp_path / "v.arrow")) as reader:
        assert reader.read_all().to_pylist() == [{"frame": 1, "valid": True, "Yes": 0.25, "No": 0.75}]


@pytest.mark.parametrize("classes", [[], ["Yes", "Perhaps"]])
def test_classes_that_do_not_match_the_columns_are_refused(tmp_path: Path, classes: list[str]) -> None:
    write_store(tmp_path / "v.arrow", KIND, predictions_schema(["Yes", "No"]), [], {"classes": classes})
    with pytest.raises(StoreError, match="do not match its classes"):
        read_predictions(tmp_path / "v.arrow")
