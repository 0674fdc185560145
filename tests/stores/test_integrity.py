"""Damage to a store is found before a number of it is used."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from abaw.core.errors import DataError
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.stores.arrow import StoreError, read_meta
from abaw.stores.faces import VIDEO_SCHEMA, open_faces, write_video_faces
from abaw.stores.features import feature_batch, features_schema, open_features, write_features
from abaw.stores.predictions import Predictions, predictions_schema, read_predictions, write_predictions

NUM_FRAMES, DIM = 20, 6


def write_sample_features(path: Path) -> Path:
    valid = np.arange(NUM_FRAMES) % 5 > 0
    features = np.random.default_rng(0).normal(size=(NUM_FRAMES, DIM)).astype(np.float16)
    batches = [
        feature_batch(np.arange(1 + at, 11 + at, dtype=np.int32), valid[at : at + 10], features[at : at + 10])
        for at in (0, 10)
    ]
    write_features(path, DIM, batches, {"backbone": "abc", "fps": 25.0})
    return path


def write_sample_predictions(path: Path) -> Path:
    probs = np.random.default_rng(0).dirichlet(np.ones(8), NUM_FRAMES).astype(np.float32)
    everywhere = np.ones(NUM_FRAMES, bool)
    frames = np.arange(1, NUM_FRAMES + 1, dtype=np.int32)
    write_predictions(path, Predictions("v", EXPRESSION_CLASSES, frames, everywhere, everywhere, probs, {}))
    return path


def write_sample_faces(path: Path) -> Path:
    rows = [
        {"frame": k, "time_s": k / 25, "jpeg": b"\xff\xd8" + bytes(k), "box_xyxy": [1.0, 2.0, 3.0, 4.0], "score": 0.9}
        for k in range(1, NUM_FRAMES + 1)
    ]
    write_video_faces(path, [pa.RecordBatch.from_pylist(rows, schema=VIDEO_SCHEMA)], {"fps": 25.0})
    return path


def read_all(path: Path) -> list[object]:
    """Everything that later stages read of a store."""
    kind = (read_meta(path) or {}).get("kind")
    if kind == "faces":
        faces = open_faces(path)
        return [faces.store.table.to_pylist(), dict(faces.meta)]
    if kind == "features":
        store = open_features(path)
        return [store.frames.tolist(), store.valid.tolist(), store.features().tolist(), dict(store.meta)]
    read = read_predictions(path)
    return [read.frames.tolist(), read.valid.tolist(), read.probs.tolist(), dict(read.meta)]


WRITERS = [write_sample_features, write_sample_predictions, write_sample_faces]


@pytest.mark.parametrize("write", WRITERS)
def test_any_flipped_bit_is_refused_or_harmless(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    path = write(tmp_path / "v.arrow")
    intact, expected = path.read_bytes(), read_all(path)
    generator = random.Random(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(intact)
        for _ in range(generator.choice([1, 1, 4])):
            damaged[generator.randrange(len(damaged))] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged)
        try:
            assert read_all(path) == expected
        except StoreError as error:
            refused += 1
            assert str(path) in str(error) and "\n" not in str(error)
    assert refused > 75


def test_one_flipped_bit_in_a_number_is_found_by_the_checksum(tmp_path: Path) -> None:
    path = write_sample_features(tmp_path / "v.arrow")
    whole = path.read_bytes()
    value = open_features(path).features()[1].tobytes()
    place = whole.index(value)
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(StoreError, match=r"v\.arrow: .*do not match its checksum"):
        open_features(path)


def test_a_store_without_a_checksum_is_read(tmp_path: Path) -> None:
    path = write_sample_features(tmp_path / "v.arrow")
    with pa.ipc.open_file(str(path)) as reader:
        table = reader.read_all()
    kept = {key: value for key, value in table.schema.metadata.items() if key != b"abaw_sealed"}
    _write_unsealed(tmp_path / "w.arrow", table.replace_schema_metadata(kept))
    assert read_all(tmp_path / "w.arrow") == read_all(path)


def test_a_sealed_store_that_lost_its_checksum_is_refused(tmp_path: Path) -> None:
    path = write_sample_features(tmp_path / "v.arrow")
    with pa.ipc.open_file(str(path)) as reader:
        table = reader.read_all()
    _write_unsealed(path, table)
    with pytest.raises(StoreError, match="checksum is missing"):
        open_features(path)


def _write_unsealed(path: Path, table: pa.Table, **options: object) -> None:
    with pa.ipc.new_file(str(path), table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)


def _features_table(features: list[list[float] | None], meta: object, **columns: pa.Array) -> pa.Table:
    count = len(features)
    schema = features_schema(DIM).with_metadata({b"abaw": json.dumps(meta).encode()})
    arrays = {
        "frame": pa.array(range(1, count + 1), pa.int32()),
        "valid": pa.array([row is not None for row in features]),
        "feature": pa.array(features, pa.list_(pa.float16(), DIM)),
    }
    arrays.update(columns)
    fields = [pa.field(name, array.type) for name, array in arrays.items()]
    return pa.Table.from_arrays(list(arrays.values()), schema=pa.schema(fields, metadata=schema.metadata))


META = {"kind": "features", "backbone": "abc", "feature_dim": DIM}
ROWS: list[list[float] | None] = [[1.0] * DIM, None, [2.0] * DIM]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (_features_table([[np.nan, *[1.0] * 5], None], META), "feature of row 1 is not a finite number"),
        (_features_table([None, [1.0] * DIM, [np.inf] * DIM], META), "feature of row 3 is not a finite number"),
        (_features_table(ROWS, {**META, "feature_dim": 7}), "column feature: expected fixed_size_list.*7"),
        (_features_table(ROWS, {**META, "feature_dim": "6"}), "lacks 'feature_dim'"),
        (_features_table(ROWS, {**META, "backbone": None}), "lacks 'backbone'"),
        (_features_table(ROWS, [1]), "metadata are list"),
        (_features_table(ROWS, {**META, "kind": "faces"}), "expected a store of features, found faces"),
        (_features_table(ROWS, META, valid=pa.array([True, None, True])), "has 1 rows without a value"),
        (_features_table(ROWS, META, valid=pa.array([True, True, True])), "contradicts its column `feature`"),
        (_features_table(ROWS, META, frame=pa.array([1, 3, 2], pa.int32())), "one row for each of the frames"),
        (_features_table(ROWS, META, frame=pa.array([1, None, 3], pa.int32())), "one row for each of the frames"),
        (_features_table(ROWS, META, frame=pa.array(["1", "2", "3"])), "column frame: expected int32, found string"),
    ],
)
def test_contradictions_are_named(tmp_path: Path, table: pa.Table, expected: str) -> None:
    _write_unsealed(tmp_path / "v.arrow", table)
    with pytest.raises(StoreError, match=expected) as caught:
        open_features(tmp_path / "v.arrow").features()
    assert str(tmp_path / "v.arrow") in str(caught.value)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([np.nan, 0.5], "prediction of row 1 is not a finite number"),
        ([1.5, 0.5], "row 1: expected values from 0 to 1"),
        ([0.5, -0.5], "row 2: expected values from 0 to 1"),
    ],
)
def test_impossible_predictions_are_named(tmp_path: Path, values: list[float], expected: str) -> None:
    classes = ["Yes", "No"]
    schema = predictions_schema(classes).with_metadata(
        {b"abaw": json.dumps({"kind": "predictions", "classes": classes}).encode()}
    )
    columns = [pa.array([1, 2], pa.int32()), pa.array([True, True]), *[pa.array(values, pa.float32())] * 2]
    _write_unsealed(tmp_path / "v.arrow", pa.Table.from_arrays(columns, schema=schema))
    with pytest.raises(StoreError, match=expected):
        read_predictions(tmp_path / "v.arrow")


def test_compressed_buffers_are_not_unpacked(tmp_path: Path) -> None:
    """Their stated size may be anything: a few bytes could ask for all memory."""
    _write_unsealed(tmp_path / "v.arrow", _features_table(ROWS * 200, META), compression="lz4")
    with pytest.raises(StoreError, match="compressed"):
        open_features(tmp_path / "v.arrow")


def test_numbers_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    frames, valid = np.array([1, 2], np.int32), np.array([False, True])
    with pytest.raises(DataError, match="frame 2: its feature is not a finite number"):
        feature_batch(frames, valid, np.array([[np.nan], [np.inf]], np.float16))
    feature_batch(frames, ~valid, np.array([[0], [np.inf]], np.float16))  # a row without a face becomes null
    probs = np.full((2, 8), 0.125, np.float32)
    probs[1, 3] = np.nan
    predictions = Predictions("clip", EXPRESSION_CLASSES, frames, valid, valid, probs, {})
    with pytest.raises(DataError, match="clip: the prediction of frame 2 is not a finite number"):
        write_predictions(tmp_path / "v.arrow", predictions)
    assert list(tmp_path.iterdir()) == []


def test_an_unreadable_store_is_not_to_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_sample_features(tmp_path / "v.arrow")
    for error, expected in [
        (PermissionError(13, "Permission denied"), "no permission to read it; change its permissions"),
        (MemoryError(), "not enough memory"),
        (OSError(12, "Cannot allocate memory"), "not enough memory"),
    ]:

        def fail(*_: object, error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr("abaw.stores.arrow.read_verified", fail)
        with pytest.raises(StoreError, match=expected) as caught:
            open_features(path)
        assert "remove" not in str(caught.value)
