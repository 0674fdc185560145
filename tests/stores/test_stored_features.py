"""Features that stay in their stores: the same rows as in memory, in this process and in others."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from abaw.stores.arrow import StoreError, write_store
from abaw.stores.features import KIND, feature_batch, features_schema, open_features, write_features
from abaw.stores.stored_features import MappedRows, StoredFeatures

T, DIMS = 23, (3, 2, 1)


def _write(path: Path, features: NDArray[np.float16], valid: NDArray[np.bool_], batch_rows: int = 7) -> Path:
    frames = np.arange(1, len(valid) + 1, dtype=np.int32)
    parts = [slice(start, start + batch_rows) for start in range(0, len(valid), batch_rows)]
    batches = [feature_batch(frames[part], valid[part], features[part]) for part in parts]
    write_features(path, features.shape[1], batches, {"backbone": "b" * 16})
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> tuple[StoredFeatures, NDArray[np.float16]]:
    """Two sources of the three; and what they hold, with two rows more than the stores."""
    folder, rng = tmp_path_factory.mktemp("features"), np.random.default_rng(0)
    expected = np.zeros((T + 2, sum(DIMS)), dtype=np.float16)
    sources: list[MappedRows | int] = []
    for index, (dim, batch_rows) in enumerate(zip(DIMS, (7, 100, 1), strict=True)):
        if index == 1:
            sources.append(dim)
            continue
        features, valid = rng.normal(size=(T, dim)).astype(np.float16), rng.random(T) < 0.7
        path = _write(folder / f"{index}.arrow", features, valid, batch_rows)
        sources.append(MappedRows(open_features(path)))
        begin = sum(DIMS[:index])
        expected[:T, begin : begin + dim] = np.where(valid[:, None], features, 0)
    return StoredFeatures(tuple(sources), T + 2), expected


@settings(deadline=None)
@given(st.integers(0, T + 4), st.integers(0, T + 4))
def test_any_stretch_has_the_rows_of_the_stores(
    video: tuple[StoredFeatures, NDArray[np.float16]], start: int, stop: int
) -> None:
    stored, expected = video
    rows = stored[start:stop]
    assert rows.dtype == np.float16 and np.array_equal(rows, expected[start:stop])


def test_sources_are_chosen_without_reading(video: tuple[StoredFeatures, NDArray[np.float16]]) -> None:
    stored, expected = video
    assert stored.shape == expected.shape and len(stored) == len(expected)
    chosen = stored.of_sources([0, 2])
    assert chosen.shape == (T + 2, DIMS[0] + DIMS[2])
    assert np.array_equal(chosen[:], expected[:, [0, 1, 2, 5]])
    with pytest.raises(IndexError, match="neighbouring"):
        stored[::2]


def test_another_process_maps_the_same_file(video: tuple[StoredFeatures, NDArray[np.float16]]) -> None:
    stored, expected = video
    message = pickle.dumps(stored, protocol=5)
    assert len(message) < 1000, "features are not sent"
    assert np.array_equal(pickle.loads(message)[:], expected)


def test_a_store_that_was_replaced_is_refused_by_another_process(tmp_path: Path) -> None:
    features, valid = np.ones((5, 2), dtype=np.float16), np.ones(5, dtype=bool)
    path = _write(tmp_path / "v.arrow", features, valid)
    rows = MappedRows(open_features(path))
    message = pickle.dumps(rows)
    _write(path, features * 2, valid)
    with pytest.raises(StoreError, match=r"v\.arrow: was replaced while the command was running"):
        pickle.loads(message)
    kept = np.zeros((5, 2), dtype=np.float16)
    rows.read_into(kept, 0)
    assert np.array_equal(kept, features), "this process has the old file still"


def test_rows_that_other_programs_wrote_as_nulls_are_0(tmp_path: Path) -> None:
    """Arrow may leave anything, or nulls, below a null row; and a store may be cut out of a longer table."""
    schema = features_schema(2)
    feature = pa.array([[9, 9], [1, 2], None, [3, 4], None], type=schema.field("feature").type)
    valid = pa.array([True, True, False, True, False])
    frames = pa.array(np.arange(0, 5, dtype=np.int32))
    batch = pa.record_batch([frames, valid, feature], schema=schema).slice(1)
    write_store(tmp_path / "v.arrow", KIND, schema, [batch], {"backbone": "b" * 16, "feature_dim": 2})
    store = open_features(tmp_path / "v.arrow")
    expected = [[1, 2], [0, 0], [3, 4], [0, 0]]
    assert store.features().tolist() == expected
    assert StoredFeatures((MappedRows(store),), 4)[:].tolist() == expected


def test_a_null_within_a_feature_is_refused(tmp_path: Path) -> None:
    schema = features_schema(2)
    feature = pa.array([[1, 2], [3, None]], type=schema.field("feature").type)
    batch = pa.record_batch([pa.array([1, 2], pa.int32()), pa.array([True, True]), feature], schema=schema)
    write_store(tmp_path / "v.arrow", KIND, schema, [batch], {"backbone": "b" * 16, "feature_dim": 2})
    with pytest.raises(StoreError, match="the feature of row 2 is not a finite number"):
        open_features(tmp_path / "v.arrow").require_finite()
