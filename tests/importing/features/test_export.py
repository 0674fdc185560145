"""Exporting features and importing them again gives the same stores."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from abaw.stores.features import FeatureStore, feature_batch, open_features, write_features
from pipelines.cli import main
from tests.importing.features.test_faults import lines
from tests.importing.features.writers import FPS, make_faces, run

FORMATS = ("npz", "parquet")
META: dict[str, Any] = {"backbone": "0123456789abcdef/logits", "fps": FPS, "trained_on": ["ü 1"], "flip": True}
N, D = 7, 3


def make_store(root: Path, values: np.ndarray, valid: np.ndarray, **meta: Any) -> FeatureStore:
    path, frames = root / "features" / "v ü_left.arrow", np.arange(1, len(values) + 1, dtype=np.int32)
    described = {"fingerprint": "f" * 16, **META, **meta}
    write_features(path, values.shape[1], [feature_batch(frames, valid, values)], described)
    make_faces(root / "faces", path.stem, num_frames=len(values))
    return open_features(path)


def some(root: Path, **meta: Any) -> FeatureStore:
    return make_store(root, np.arange(N * D).reshape(N, D).astype(np.float16), np.arange(N) != 2, **meta)


def export(root: Path, file_format: str, *words: str) -> int:
    return main(["export-features", str(root / "features"), "--format", file_format, "--out", str(root / "in"), *words])


def back(root: Path) -> FeatureStore:
    return open_features(root / "out" / "v ü_left.arrow")


HALF = st.floats(allow_nan=False, allow_infinity=False, width=16)


@pytest.mark.parametrize("file_format", FORMATS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), num_frames=st.integers(1, 12), dim=st.integers(1, 4), modality=st.sampled_from([None, "sound"]))
def test_round_trip(file_format: str, data: st.DataObject, num_frames: int, dim: int, modality: str | None) -> None:
    """Every number of 16 bits, every pattern of frames without a feature, and all metadata."""
    values = data.draw(hnp.arrays(np.float16, (num_frames, dim), elements=HALF))
    valid = data.draw(hnp.arrays(bool, num_frames))
    valid[data.draw(st.integers(0, num_frames - 1))] = True
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        before = make_store(root, values, valid, **({} if modality is None else {"modality": modality}))
        assert export(root, file_format) == 0
        assert run(root, str(root / "in"), name="") == 0
        after = back(root)
        assert after.store.table.equals(before.store.table)
        assert dict(after.meta) == dict(before.meta)
        assert after.features().tobytes() == before.features().tobytes(), "the sign of zero included"


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_video_without_any_feature(tmp_path: Path, file_format: str) -> None:
    before = make_store(tmp_path, np.zeros((N, D), np.float16), np.zeros(N, bool))
    assert export(tmp_path, file_format) == 0
    assert run(tmp_path, str(tmp_path / "in"), name="") == 0
    assert back(tmp_path).store.table.equals(before.store.table)


@pytest.mark.parametrize("file_format", FORMATS)
def test_what_others_read(tmp_path: Path, file_format: str) -> None:
    store = some(tmp_path)
    assert export(tmp_path, file_format, "--faces", str(tmp_path / "faces")) == 0
    path = tmp_path / "in" / f"v ü_left.{file_format}"
    if file_format == "npz":
        arrays = dict(np.load(path))
        features = arrays["features"]
    else:
        arrays = {name: column.to_numpy() for name, column in zip(*_columns(path), strict=True)}
        features = np.array([[np.nan] * D if row is None else row for row in arrays["feature"]])
    assert arrays["frame"].tolist() == list(range(1, N + 1)) and arrays["valid"].tolist() == store.valid.tolist()
    assert np.allclose(arrays["time_s"], np.arange(N) / FPS)
    assert np.isnan(features[2]).all() and np.array_equal(np.nan_to_num(features), store.features())


def _columns(path: Path) -> tuple[list[str], list[Any]]:
    table = pq.read_table(path)
    return table.column_names, table.columns


@pytest.mark.parametrize("file_format", FORMATS)
def test_under_a_name_they_are_other_features(tmp_path: Path, file_format: str) -> None:
    before = some(tmp_path, modality="sound")
    assert export(tmp_path, file_format) == 0
    assert run(tmp_path, str(tmp_path / "in"), name="mine") == 0
    after = back(tmp_path)
    assert after.store.table.equals(before.store.table)
    assert after.backbone.startswith("mine:") and after.source.modality == "sound"
    assert after.meta["trained_on"] == META["trained_on"], "what was known of them stays known"
    assert run(tmp_path, str(tmp_path / "in"), "--out", str(tmp_path / "b"), "--trained_on", "AffectNet", name="x") == 0
    assert open_features(tmp_path / "b" / "v ü_left.arrow").meta["trained_on"] == ["AffectNet"]


@pytest.mark.parametrize("file_format", FORMATS)
def test_changed_features_do_not_keep_their_identity(
    tmp_path: Path, file_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    some(tmp_path)
    assert export(tmp_path, file_format) == 0
    path = tmp_path / "in" / f"v ü_left.{file_format}"
    if file_format == "npz":
        arrays = dict(np.load(path))
        arrays["features"][0] += 1
        np.savez(path, **arrays)
    else:
        table = pq.read_table(path)
        pq.write_table(table.set_column(1, "valid", [[True, False, False, *[True] * (N - 3)]]), path)
    assert run(tmp_path, str(tmp_path / "in"), name="") == 1
    assert len(lines(capsys, "its features are not those that were exported; give --name")) == 1
    assert run(tmp_path, str(tmp_path / "in"), name="mine") == 0


def test_files_from_elsewhere_need_a_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_faces(tmp_path / "faces", "v")
    (tmp_path / "in").mkdir()
    np.savez(tmp_path / "in" / "v.npz", features=np.ones((30, 2)))
    assert run(tmp_path, str(tmp_path / "in"), name="") == 1
    assert len(lines(capsys, "was not written by `abaw export-features`; name its features: --name NAME")) == 1


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_store_of_another_length_is_not_done(
    tmp_path: Path, file_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = some(tmp_path)
    assert export(tmp_path, file_format) == 0
    make_faces(tmp_path / "shorter", "v ü_left", num_frames=N - 2)
    assert run(tmp_path, str(tmp_path / "in"), "--faces", str(tmp_path / "shorter"), name="") == 0
    assert len(back(tmp_path)) == N - 2
    capsys.readouterr()
    assert run(tmp_path, str(tmp_path / "in"), name="") == 1
    message = f"has {N - 2} rows, expected {N}, one per frame of {tmp_path}/faces/v ü_left.arrow; choose another --out"
    assert len(lines(capsys, message)) == 1
    (tmp_path / "out" / "v ü_left.arrow").unlink()
    assert run(tmp_path, str(tmp_path / "in"), name="") == 0
    assert back(tmp_path).store.table.equals(before.store.table)


@pytest.mark.parametrize("words", [["--modality", "sound"], ["--trained_on", "valid1"]], ids=["modality", "trained_on"])
def test_what_an_export_records_is_not_given(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    some(tmp_path)
    assert export(tmp_path, "npz") == 0
    assert run(tmp_path, str(tmp_path / "in"), *words, name="") == 2
    message = f"{words[0]} has no meaning without --name: files of `abaw export-features` are restored with what they"
    assert len(lines(capsys, message)) == 1 and not (tmp_path / "out").exists()
    assert run(tmp_path, str(tmp_path / "in"), *words, name="mine") == 0


@pytest.mark.parametrize("words", [["--faces_only"], ["--missing", "zero"], ["--tolerance", "3"]])
def test_restored_with_other_rules_is_another_store(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    values = np.arange(N * D).reshape(N, D).astype(np.float16)
    before = make_store(tmp_path, values, np.ones(N, bool))
    make_faces(tmp_path / "faces", "v ü_left", num_frames=N, faceless=[0])
    assert export(tmp_path, "npz") == 0
    assert run(tmp_path, str(tmp_path / "in"), name="") == 0
    assert back(tmp_path).meta["fingerprint"] == before.meta["fingerprint"]
    capsys.readouterr()
    assert run(tmp_path, str(tmp_path / "in"), *words, name="") == 1
    assert len(lines(capsys, "v ü_left.arrow: was made from another input or with other settings")) == 1
    (tmp_path / "out" / "v ü_left.arrow").unlink()
    for _ in range(2):
        assert run(tmp_path, str(tmp_path / "in"), *words, name="") == 0
    assert back(tmp_path).valid.tolist() == [words != ["--faces_only"], *[True] * (N - 1)]
    assert len(lines(capsys, "v ü_left: already exists")) == 1
    assert run(tmp_path, str(tmp_path / "in"), name="") == 1


GOOD_META = '"crc32": "00", "origin": "x"'


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", "\xff", '{"meta": {}, "crc32": 1}', "[" * 100_000, f'{{"meta": 1, {GOOD_META}}}'),
        f'{{"meta": {{"backbone": "b", "feature_dim": "2"}}, {GOOD_META}}}',
        f'{{"meta": {{"backbone": "b", "feature_dim": 2, "trained_on": 1}}, {GOOD_META}}}',
    ],
)
def test_damaged_metadata(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    make_faces(tmp_path / "faces", "v")
    (tmp_path / "in").mkdir()
    written = np.frombuffer(text.encode("latin-1"), np.uint8)
    np.savez(tmp_path / "in" / "v.npz", features=np.ones((30, 2)), abaw=written)
    assert run(tmp_path, str(tmp_path / "in"), name="") == 1
    assert len(lines(capsys, "its 'abaw' is not what `abaw export-features` writes")) == 1


@pytest.mark.parametrize("file_format", FORMATS)
def test_running_again(tmp_path: Path, file_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    some(tmp_path)
    faces = ["--faces", str(tmp_path / "faces")]
    for command in (
        lambda: export(tmp_path, file_format, *faces),
        lambda: run(tmp_path, str(tmp_path / "in"), name=""),
    ):
        assert command() == 0
        capsys.readouterr()
        assert command() == 0
        assert lines(capsys, "v ü_left: already exists")
    assert export(tmp_path, file_format) == 1, "without times"
    assert len(lines(capsys, "was made from another store; choose another --out or remove it")) == 1
    assert run(tmp_path, str(tmp_path / "in"), name="other") == 1
    assert len(lines(capsys, "was made from another input or with other settings")) == 1


@pytest.mark.parametrize(
    ("faces", "message"),
    [
        ({"num_frames": N + 1}, f"{N} rows, {N + 1} frames: -1"),
        ({"num_frames": N, "times": False}, "has no times, as after import-crops; leave out --faces"),
        (None, "--faces has no store of this name"),
    ],
)
def test_times_come_from_the_right_faces(
    tmp_path: Path, faces: dict[str, Any] | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    some(tmp_path)
    make_faces(tmp_path / "others", "v ü_left" if faces is not None else "w", **(faces or {}))
    assert export(tmp_path, "npz", "--faces", str(tmp_path / "others")) == 1
    assert len(lines(capsys, message)) == 1 and not (tmp_path / "in").exists()


def test_two_stores_of_one_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = some(tmp_path)
    path = str(store.store.path)
    assert main(["export-features", path, path, "--format", "npz", "--out", str(tmp_path / "in")]) == 1
    assert len(lines(capsys, "two stores are named 'v ü_left'")) == 1
