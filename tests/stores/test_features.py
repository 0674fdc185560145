from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from abaw.stores.arrow import StoreError, write_store
from abaw.stores.features import KIND, feature_batch, features_schema, open_features, write_features


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(0, 12), st.integers(1, 5), st.integers(1, 4))
def test_round_trip(data: st.DataObject, num_frames: int, dim: int, batch_rows: int) -> None:
    valid = data.draw(hnp.arrays(bool, num_frames))
    features = data.draw(hnp.arrays(np.float16, (num_frames, dim), elements=st.floats(-100, 100, width=16)))
    frames = np.arange(1, num_frames + 1, dtype=np.int32)
    batches = [
        feature_batch(frames[start:stop], valid[start:stop], features[start:stop])
        for start, stop in ((k, k + batch_rows) for k in range(0, num_frames, batch_rows))
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a b é.arrow"
        assert write_features(path, dim, batches, {"backbone": "abc", "fps": 25.0}) == num_frames
        store = open_features(path)
        assert (store.name, len(store), store.backbone, store.feature_dim) == ("a b é", num_frames, "abc", dim)
        assert np.array_equal(store.frames, frames)
        assert np.array_equal(store.valid, valid)
        read = store.features()
        assert read.dtype == np.float16
        assert read.shape == (num_frames, dim)
        assert np.array_equal(read, np.where(valid[:, None], features, 0))


def test_a_row_without_a_face_is_null_not_zero(tmp_path: Path) -> None:
    batch = feature_batch(np.array([1, 2], np.int32), np.array([True, False]), np.ones((2, 3), np.float16))
    write_features(tmp_path / "v.arrow", 3, [batch], {"backbone": "abc"})
    assert open_features(tmp_path / "v.arrow").store.table.column("feature").to_pylist() == [[1.0, 1.0, 1.0], None]


def test_the_backbone_must_be_in_the_metadata(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        write_features(tmp_path / "v.arrow", 3, [], {})
    write_store(tmp_path / "v.arrow", KIND, features_schema(3), [], {"feature_dim": 3})
    with pytest.raises(StoreError, match="lacks 'backbone'"):
        open_features(tmp_path / "v.arrow")


def test_another_feature_size_is_refused(tmp_path: Path) -> None:
    batch = feature_batch(np.array([1], np.int32), np.array([True]), np.ones((1, 4), np.float16))
    with pytest.raises((pa.ArrowException, ValueError)):
        write_features(tmp_path / "v.arrow", 3, [batch], {"backbone": "abc"})
    assert list(tmp_path.iterdir()) == []
