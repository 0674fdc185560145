"""Layouts of files of arrays: which keys are videos, frames, or parts of one video."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from abaw.stores.features import open_features
from tests.importing.features.test_faults import lines
from tests.importing.features.writers import D, T, make_faces, run

X = np.random.default_rng(0).normal(size=(T, D)).astype(np.float16)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_faces(tmp_path / "faces", "a", "12")
    (tmp_path / "in").mkdir()
    return tmp_path


def imported(root: Path, name: str = "a") -> np.ndarray:
    return open_features(root / "out" / f"{name}.arrow").features()


@pytest.mark.parametrize(
    ("file", "arrays"),
    [
        pytest.param("a.npz", {"arr_0": X}, id="without a name"),
        pytest.param("a.npz", {"logits": X}, id="the name of what it is"),
        pytest.param("a.npz", {"features": X, "valid": np.ones(T), "dataset": np.ones(3)}, id="with other arrays"),
        pytest.param("all.npz", {"a": X}, id="one video by name"),
        pytest.param("all.npz", {"a.mp4": X, "b.mp4": X}, id="names of video files"),
        pytest.param("all.npz", {"batch1/a": X, "batch2\\b": X}, id="paths"),
        pytest.param("all.npz", {f"train\\a\\{k + 1:05d}.jpg": X[k] for k in range(T)}, id="frames, Windows"),
        pytest.param("a.npz", {f"{k + 1:05d}.jpg": X[k] for k in reversed(range(T))}, id="frames of one video"),
    ],
)
def test_layouts(root: Path, file: str, arrays: dict[str, Any]) -> None:
    np.savez(root / "in" / file, **arrays)
    assert run(root, str(root / "in" / file)) == 0
    assert np.array_equal(imported(root), X)


def test_a_video_whose_name_is_a_number(root: Path) -> None:
    np.savez(root / "in" / "all.npz", **{"12": X, "a": X[::-1]})
    assert run(root, str(root / "in")) == 0
    assert np.array_equal(imported(root, "12"), X) and np.array_equal(imported(root), X[::-1])


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float64"])
def test_tensors(root: Path, kind: str) -> None:
    values = torch.from_numpy(X.astype(np.float32)).to(getattr(torch, kind))
    torch.save({"a": values.requires_grad_()}, root / "in" / "all.pt")
    assert run(root, str(root / "in")) == 0
    assert np.array_equal(imported(root), values.detach().half().numpy())


@pytest.mark.parametrize("legacy", [True, False])
def test_one_tensor_alone(root: Path, legacy: bool) -> None:
    torch.save(torch.from_numpy(X), root / "in" / "a.pth", _use_new_zipfile_serialization=not legacy)
    assert run(root, str(root / "in")) == 0
    assert np.array_equal(imported(root), X)


def test_a_model_is_no_file_of_features(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(torch.nn.Linear(2, 2), root / "in" / "a.pt")
    assert run(root, str(root / "in")) == 1
    assert len(lines(capsys, "not readable with torch.load(…, weights_only=True)")) == 1


def test_groups_of_hdf5(root: Path) -> None:
    with h5py.File(root / "in" / "all.h5", "w") as file:
        group = file.create_group("train/batch1/a")
        group["features"], group["time_s"] = X, np.arange(T) / 25
    assert run(root, str(root / "in"), "--resample", "linear") == 0
    assert np.array_equal(imported(root), X)


def test_texts_of_hdf5(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with h5py.File(root / "in" / "a.h5", "w") as file:
        file["features"], file["image"] = X, [f"{k:05d}.jpg" for k in range(T)]
        file["points"] = np.array([np.arange(k) for k in range(T)], h5py.vlen_dtype(int))
    assert run(root, str(root / "in")) == 1
    assert len(lines(capsys, "a.h5: has 'image', a value per row that is not read")) == 1
    with h5py.File(root / "in" / "a.h5", "a") as file:
        del file["image"]
    assert run(root, str(root / "in")) == 0
    assert np.array_equal(imported(root), X)


def test_hdf5_reads_no_other_file(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with h5py.File(root / "other.h5", "w") as other:
        other["a"] = X
    with h5py.File(root / "in" / "all.h5", "w") as file:
        file["a"] = h5py.ExternalLink(str(root / "other.h5"), "a")
    assert run(root, str(root / "in")) == 1
    assert len(lines(capsys, "'a' is a link; write a file that holds all its arrays itself")) == 1


def test_without_h5py(root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "h5py", None)
    (root / "in" / "all.h5").touch()
    assert run(root, str(root / "in")) == 2
    assert len(lines(capsys, "HDF5 needs h5py; install it: pip install h5py")) == 1


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"arr_0": np.ones(T)}, f"expected numbers of shape (frames, width), found the shape ({T},)"),
        ({"arr_0": np.ones((T, 2, 2))}, "expected numbers of shape (frames, width)"),
        ({"arr_0": np.ones((T, 2), complex)}, "expected numbers of at most 64 bits, found values of type complex128"),
        ({"arr_0": np.array([["x"] * 2] * T)}, "expected numbers of at most 64 bits, found values of type <U1"),
        ({"features": X, "frame": np.arange(T - 1)}, f"{T} rows of features, but 'frame' has the shape ({T - 1},)"),
        ({"features": X, "time_s": np.array(["x"] * T)}, "time_s: expected numbers, found values of type <U1"),
        ({"arr_0": np.array([{}] * T)}, "its array 'arr_0' is not readable (Object arrays cannot be loaded"),
    ],
)
def test_arrays_that_are_no_features(
    root: Path, arrays: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(root / "in" / "a.npz", **arrays)
    assert run(root, str(root / "in"), "--first_frame", "0") == 1
    assert len(lines(capsys, message)) == 1


NUMBERS = np.arange(3, T)
REMEDY = "a value per row that is not read; name it frame (frame numbers) or time_s (seconds), or remove it"


def _write_npz(path: Path, arrays: dict[str, Any]) -> None:
    np.savez(path.with_suffix(".npz"), **arrays)


def _write_hdf5(path: Path, arrays: dict[str, Any]) -> None:
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        for key, values in arrays.items():
            file[key] = values


def _write_torch(path: Path, arrays: dict[str, Any]) -> None:
    torch.save({key: torch.from_numpy(values) for key, values in arrays.items()}, path.with_suffix(".pt"))


def _write_pickle(path: Path, arrays: dict[str, Any]) -> None:
    path.with_suffix(".pkl").write_bytes(pickle.dumps(arrays))


@pytest.mark.parametrize("write", [_write_npz, _write_hdf5, _write_torch, _write_pickle])
def test_frame_numbers_under_a_name_that_is_not_read_are_refused(
    root: Path, write: Callable[[Path, dict[str, Any]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    write(root / "in" / "a", {"features": X[3:], "frame_idx": NUMBERS})
    assert run(root, str(root / "in")) == 1
    assert len(lines(capsys, f"has 'frame_idx', {REMEDY}")) == 1 and not (root / "out" / "a.arrow").exists()
    write(root / "in" / "a", {"features": X[3:], "frame": NUMBERS})
    assert run(root, str(root / "in"), "--first_frame", "0") == 0
    assert np.array_equal(imported(root)[3:], X[3:]) and not open_features(root / "out" / "a.arrow").valid[:3].any()


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        pytest.param("Frame", NUMBERS.astype(np.float32), [], id="whole numbers, floating"),
        pytest.param("index", NUMBERS[::-1], [], id="in another order"),
        pytest.param("index", NUMBERS[:, None], [], id="a column"),
        pytest.param("index", NUMBERS.astype(np.uint8), ["--match_by", "frame"], id="although there are times"),
        pytest.param("pts", NUMBERS / 25, [], id="times"),
        pytest.param("image", np.array([f"{k:05d}.jpg" for k in NUMBERS]), [], id="names"),
    ],
)
def test_what_may_say_which_frame_a_row_is(
    root: Path, name: str, values: np.ndarray, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    times = {"time_s": NUMBERS / 25} if words else {}
    np.savez(root / "in" / "a.npz", features=X[3:], **{name: values}, **times)
    assert run(root, str(root / "in"), *words) == 1
    assert len(lines(capsys, f"a.npz: has '{name}', {REMEDY}")) == 1


@pytest.mark.parametrize(
    "others",
    [
        pytest.param({"labels": np.arange(T) % 8}, id="labels"),
        pytest.param({"mask": np.ones(T, bool)}, id="a mask"),
        pytest.param({"confidence": np.random.default_rng(1).random(T)}, id="scores"),
        pytest.param({"subject": np.array(["left"] * T)}, id="names that repeat"),
        pytest.param({"ids": np.arange(T + 1), "fps": np.array(25.0)}, id="of another length"),
        pytest.param({"logits": np.arange(T * 8).reshape(T, 8)}, id="several values per row"),
        pytest.param({"paths": np.array([{}] * T)}, id="objects"),
        pytest.param({"index": NUMBERS[::-1], "time_s": np.arange(T) / 25}, id="next to times"),
        pytest.param({"index": np.arange(T), "frame": np.arange(T)}, id="next to frame numbers"),
    ],
)
def test_other_arrays_are_something_else(root: Path, others: dict[str, Any]) -> None:
    np.savez(root / "in" / "a.npz", features=X, **others)
    assert run(root, str(root / "in"), "--first_frame", "0") == 0
    assert np.array_equal(imported(root), X)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a/00001.jpg": X[0], "00002.jpg": X[1]}, "some of its keys name a video and some do not"),
        ({"one/a": X, "two/a": X}, "holds the video 'a' twice"),
        ({}, "contains no array"),
    ],
)
def test_keys_that_are_no_videos(
    root: Path, arrays: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(root / "in" / "all.npz", **arrays)
    assert run(root, str(root / "in")) == 1
    assert len(lines(capsys, message)) == 1


def test_objects_in_npy_are_never_unpickled(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(root / "in" / "a.npy", np.array([{"a": 1}]), allow_pickle=True)
    assert run(root, str(root / "in")) == 1
    assert len(lines(capsys, "not readable as one array of numbers")) == 1
