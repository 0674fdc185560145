"""300 damaged stores of the three kinds: each is refused in one line or read, and none ends in a traceback.

Two thirds are valid Arrow files of another program (no checksum) with impossible contents; one third are our files with
damaged bytes.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from abaw.core.errors import AbawError
from abaw.engine.error_log import ERROR_LOG
from abaw.inference.decode import decode
from abaw.protocol.annotations import write_annotation
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.sequence.smooth import Smoothing
from abaw.stores.faces import open_faces
from abaw.stores.features import feature_batch, open_features, write_features
from abaw.stores.predictions import Predictions, read_predictions, write_predictions
from abaw.weights import builtin
from pipelines.cli import main
from tests.data.faces import video_store

NUM_FRAMES = 12
HEADER = "image_location,Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other"
ODD: tuple[Any, ...] = (None, True, -1, 0, 10**30, 1e308, "", "x\x1b[31m", "a" * 300, [], [None], {}, {"x": []}, 3.5)


def _faces(path: Path) -> Path:
    return video_store(path, [k % 8 if k % 3 else None for k in range(NUM_FRAMES)])


def _features(path: Path) -> Path:
    spec = json.loads((builtin("static") / "spec.json").read_text(encoding="utf-8"))
    valid = np.arange(NUM_FRAMES) % 3 > 0
    values = np.random.default_rng(0).normal(size=(NUM_FRAMES, spec["feature_dim"])).astype(np.float16)
    batch = feature_batch(np.arange(1, NUM_FRAMES + 1, dtype=np.int32), valid, values)
    write_features(path, spec["feature_dim"], [batch], {"backbone": spec["weights_sha256"][:16], "fps": 25.0})
    return path


def _predictions(path: Path) -> Path:
    probs = np.random.default_rng(0).dirichlet(np.ones(8), NUM_FRAMES).astype(np.float32)
    valid = np.arange(NUM_FRAMES) % 3 > 0
    frames = np.arange(1, NUM_FRAMES + 1, dtype=np.int32)
    write_predictions(path, Predictions("v", EXPRESSION_CLASSES, frames, valid, valid, probs, {"checkpoints": ["c"]}))
    return path


def _read_faces(path: Path) -> Any:
    faces = open_faces(path)
    return [faces.keys.to_pylist(), faces.valid.tolist(), faces.faults, [faces.jpeg(row) for row in range(len(faces))]]


def _read_features(path: Path) -> Any:
    store = open_features(path)
    features = store.features()
    assert np.isfinite(features).all() and features.shape == (len(store), store.feature_dim)
    return [store.frames.tolist(), store.valid.tolist(), features.tolist(), store.backbone]


def _read_predictions(path: Path) -> Any:
    read = read_predictions(path)
    assert np.isfinite(read.probs).all() and len(read.probs) == len(read.frames) == len(read.predicted)
    labels = decode(read, Smoothing("box", 5)).labels if read.classes == EXPRESSION_CLASSES else None
    return [read.frames.tolist(), read.predicted.tolist(), read.probs.tolist(), labels is None or labels.tolist()]


KINDS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Any]]] = {
    "faces": (_faces, _read_faces),
    "features": (_features, _read_features),
    "predictions": (_predictions, _read_predictions),
}


def _with_metadata(table: pa.Table, dice: random.Random) -> pa.Table:
    """One key with an odd value or none, or no object at all."""
    meta = json.loads(table.schema.metadata[b"abaw"])
    key = dice.choice([*meta, "fps", "frame_size_wh", "options", "missing_frames"])
    how = dice.randrange(8)
    if how == 0:
        meta.pop(key, None)
    elif how < 6:
        meta[key] = dice.choice(ODD)
    raw = json.dumps(meta).encode()
    if how == 6:
        raw = dice.choice([b"", b"[]", b"null", b"\xff", b"{", b"[" * 50_000, b"1" * 5000, raw[:-1], b'{"kind": NaN}'])
    return table.replace_schema_metadata({b"abaw": raw} if how < 7 else dice.choice([None, {b"x": b"y"}]))


def _with_column(table: pa.Table, dice: random.Random) -> pa.Table:
    """One column of another type, with other nulls or values, missing, or present twice."""
    place = dice.randrange(table.num_columns)
    name, column = table.column_names[place], table.column(place)
    how = dice.randrange(7)
    if how == 0:
        return table.remove_column(place)
    if how == 1:
        return table.append_column(name, column)
    if how == 2:
        return table.rename_columns(
            [
                dice.choice(["x", "frame", "Neutral"]) if k == place else each
                for k, each in enumerate(table.column_names)
            ]
        )
    if how == 3:
        kind = dice.choice([pa.string(), pa.int64(), pa.float64(), pa.binary(), pa.list_(pa.float32()), pa.null()])
        return table.set_column(place, name, pa.nulls(len(table), kind))
    values = column.to_pylist()
    for row in dice.sample(range(len(values)), dice.choice([1, 3, len(values)])):
        values[row] = None if how == 4 else _odd_like(values[row], dice)
    return table.set_column(place, table.schema.field(place), pa.array(values, column.type))


def _odd_like(value: Any, dice: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return dice.choice([0, -1, 2**31 - 1, value + 1])
    if isinstance(value, float):
        return dice.choice([float("nan"), float("inf"), -1.0, 3e38, 2.0])
    if isinstance(value, bytes):
        return dice.choice([b"", b"\xff\xd8", value[: len(value) // 2], bytes(100)])
    if isinstance(value, list):
        return [_odd_like(each, dice) if each is not None else None for each in value]
    return value


def _with_rows(table: pa.Table, dice: random.Random) -> pa.Table:
    """Other rows: fewer, none, twice, in another order, in several batches."""
    rows = list(range(len(table)))
    changed = [rows[:-3], rows[2:], [], rows * 2, rows[::-1], dice.sample(rows, len(rows)), rows[:1]]
    return table.take(pa.array(dice.choice(changed), pa.int64()))


def _mutated(intact: bytes, dice: random.Random) -> bytes:
    if dice.randrange(3) == 0:
        damaged = bytearray(intact)
        for _ in range(dice.choice([1, 4, 40])):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        return bytes(damaged if dice.randrange(4) else damaged[: dice.randrange(len(damaged))])
    table = pa.ipc.open_file(intact).read_all()
    table = table.replace_schema_metadata({b"abaw": table.schema.metadata[b"abaw"]})
    table = dice.choice([_with_metadata, _with_column, _with_rows])(table, dice)
    sink = pa.BufferOutputStream()
    codec = dice.choice([None, None, None, "lz4", "zstd"])
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
        writer.write_table(table, max_chunksize=dice.choice([None, 5]))
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _stores(folder: Path, kind: str, count: int) -> list[Path]:
    write, _ = KINDS[kind]
    intact = write(folder / "intact.arrow").read_bytes()
    dice = random.Random(kind)
    paths = [folder / f"v{number:03d}.arrow" for number in range(count)]
    for path in paths:
        path.write_bytes(_mutated(intact, dice))
    return paths


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_refused_in_one_line_or_read(tmp_path: Path, kind: str) -> None:
    read = KINDS[kind][1]
    refused = 0
    for path in _stores(tmp_path, kind, 100):
        try:
            read(path)
        except AbawError as error:
            refused += 1
            assert str(path) in str(error) or path.stem in str(error)
            assert "\n" not in str(error)
    assert 30 < refused < 100


@pytest.fixture
def bugs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unexpected errors end the test instead of being written to a file."""
    monkeypatch.setenv("ABAW_TRACEBACK", "1")


def _run(out: Path, *words: str) -> None:
    assert main([*words, "--out", str(out)]) in (0, 1)
    log = out / ERROR_LOG
    assert not log.exists(), log.read_text(encoding="utf-8")


@pytest.mark.usefixtures("bugs")
@pytest.mark.parametrize(("kind", "command"), [("faces", "features"), ("features", "predict")])
def test_the_batch_goes_on_without_a_traceback(
    tmp_path: Path, kind: str, command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / kind).mkdir()
    _stores(tmp_path / kind, kind, 100)
    words = ["--checkpoint", "builtin", "--accelerator", "cpu", "--workers", "1"]
    _run(tmp_path / "out", command, f"--{kind}", str(tmp_path / kind), *words)
    printed = capfd.readouterr().err
    assert "Traceback" not in printed and "failed" in printed
    assert (tmp_path / "out" / "intact.arrow").exists()


@pytest.mark.usefixtures("bugs")
def test_scores_and_submissions_of_damaged_predictions(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "predictions"
    folder.mkdir()
    paths = _stores(folder, "predictions", 100)
    for path in [*paths, folder / "intact.arrow"]:
        write_annotation(tmp_path / "labels" / "Validation_Set" / f"{path.stem}.txt", np.arange(NUM_FRAMES) % 8)
    words = ["--predictions", str(folder), "--annotations", str(tmp_path / "labels"), "--draws", "100"]
    _run(tmp_path / "report", "validate", *words)
    for path in paths:
        template = tmp_path / "template.txt"
        rows = [f"{path.stem}/{frame:05d}.jpg" for frame in range(1, NUM_FRAMES + 1)]
        template.write_text("\n".join([HEADER, *rows]) + "\n")
        words = ["submit", "--predictions", str(path), "--template", str(template), "--edition", "abaw6"]
        status = main([*words, "--out", str(tmp_path / f"{path.stem}.txt")])
        assert status in (0, 1, 2)
        assert (tmp_path / f"{path.stem}.txt").exists() == (status == 0)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.usefixtures("bugs")
@pytest.mark.parametrize(("kind", "command"), [("faces", "features"), ("features", "predict")])
def test_a_pipe_among_the_stores_is_a_failure_and_no_wait(
    tmp_path: Path, kind: str, command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / kind).mkdir()
    KINDS[kind][0](tmp_path / kind / "intact.arrow")
    os.mkfifo(tmp_path / kind / "pipe.arrow")
    words = ["--checkpoint", "builtin", "--accelerator", "cpu", "--workers", "1"]
    _run(tmp_path / "out", command, f"--{kind}", str(tmp_path / kind), *words)
    assert "pipe.arrow: is neither a file nor a folder" in capfd.readouterr().err
    assert (tmp_path / "out" / "intact.arrow").exists()
