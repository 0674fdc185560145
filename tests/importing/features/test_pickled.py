"""Pickles: arrays of every protocol are read, and nothing that a file names is ever called."""

from __future__ import annotations

import os
import pickle
import pickletools
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from abaw.core.errors import DataError
from abaw.importing.features.formats import pickled
from abaw.importing.features.formats.pickled import open_file
from abaw.importing.features.rows import ReadOptions


def rows_of(path: Path, content: bytes, video: str | None = None) -> np.ndarray:
    path.write_bytes(content)
    file = open_file(path, ReadOptions(known=("v",)))
    return file.rows(video).values


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8", "i1", "<i4", "u1", "?"])
def test_arrays_of_every_protocol(tmp_path: Path, protocol: int, dtype: str) -> None:
    values = (np.arange(12).reshape(4, 3) % 2).astype(dtype)
    for array in (values, np.asfortranarray(values), values[::-1]):
        assert np.array_equal(rows_of(tmp_path / "v.pkl", pickle.dumps(array, protocol)), array)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({f"v/{k + 1:05d}.jpg": np.full(3, k, np.float32) for k in range(4)}, id="by frame"),
        pytest.param({"v": {k + 1: np.full((1, 3), k, np.float32) for k in range(4)}}, id="by video and number"),
        pytest.param({"x/v": {f"{k + 1}.png": [float(k)] * 3 for k in range(4)}}, id="lists"),
        pytest.param({"v": [np.full(3, k) for k in range(4)]}, id="a list of vectors"),
        pytest.param({"v": np.repeat(np.arange(4.0), 3).reshape(4, 3)}, id="by video"),
        pytest.param({"x": {"v": [[np.float32(k)] * 3 for k in range(4)]}}, id="scalars, in a group"),
    ],
)
def test_layouts(tmp_path: Path, content: Any) -> None:
    expected = np.repeat(np.arange(4.0), 3).reshape(4, 3)
    assert np.array_equal(rows_of(tmp_path / "all.pkl", pickle.dumps(content), "v"), expected)


class _Calls:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "function",
    [os.system, exec, eval, __import__, getattr, np.load, np.array, open, OrderedDict, bytearray],
    ids=lambda function: function.__name__,
)
def test_nothing_is_called(tmp_path: Path, protocol: int, function: Any) -> None:
    trace = tmp_path / "called"
    content = pickle.dumps({"v": _Calls(function, f"touch '{trace}'"), "w": np.ones((2, 2))}, protocol)
    before = set(sys.modules)
    with pytest.raises(DataError, match="is not loaded") as caught:
        rows_of(tmp_path / "v.pkl", content)
    assert "\n" not in str(caught.value) and str(tmp_path / "v.pkl") in str(caught.value)
    assert not trace.exists() and set(sys.modules) == before


def _hostile() -> dict[str, bytes]:
    """Pickles by hand, whose names are known ones."""
    scalar = b"cnumpy.core.multiarray\nscalar\n"
    return {
        "attributes of a function": scalar + b"}X\x03\x00\x00\x00keyX\x01\x00\x00\x00vsb.",
        "slots of a function": scalar + b"N}X\x0c\x00\x00\x00__defaults__)s\x86b.",
        "a state for a class": b"cnumpy\ndtype\n(K\x03X\x01\x00\x00\x00<tb.",
        "an object type": b"cnumpy\ndtype\n(X\x02\x00\x00\x00O8K\x00K\x01tR.",
        "a type made of others": b"cnumpy\ndtype\n(]tR.",
        "an array of another class": b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\n(K\x00tC\x01btR.",
        "an array without a state": b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tC\x01btR.",
        "a made dtype without arguments": b"cnumpy\ndtype\n)\x81.",
        "another encoding": b"c_codecs\nencode\n(X\x01\x00\x00\x00xX\x04\x00\x00\x00zlibtR.",
        "a persistent id": b"Pa\n.",
        "an extension": b"\x82\x01.",
        "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0cdtype.newbyte\x93.",
        "too little data": b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(X\x02\x00\x00\x00f8K\x00K\x01tRC\x01atR.",
        "a promise of much data": b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x0f.",
        "nothing": b"",
        "no end": b"\x80\x04}",
        "a set": pickle.dumps({1, 2}),
        "a text": pickle.dumps("features"),
        "an empty dictionary": pickle.dumps({}),
        "dictionaries without end": pickle.dumps({"a": {"b": {"c": {"d": {}}}}}),
    }


@pytest.mark.parametrize("name", _hostile())
def test_hostile_files_are_refused_in_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError) as caught:
        rows_of(tmp_path / "v.pkl", _hostile()[name], "v")
    assert str(caught.value).startswith(f"{tmp_path / 'v.pkl'}: ") and "\n" not in str(caught.value)


def test_a_dictionary_that_contains_itself(tmp_path: Path) -> None:
    content: dict[str, Any] = {}
    content["v"] = content
    with pytest.raises(DataError, match="dictionaries in dictionaries"):
        rows_of(tmp_path / "v.pkl", pickle.dumps(content))


def test_every_name_that_is_known_is_of_an_array() -> None:
    """A new name here is a decision: what it stands for must not call anything."""
    assert sorted({f"{module}.{name}" for module, name in pickled._KNOWN}) == [
        "_codecs.encode",
        "numpy._core.multiarray._reconstruct",
        "numpy._core.multiarray.scalar",
        "numpy._core.numeric._frombuffer",
        "numpy.core.multiarray._reconstruct",
        "numpy.core.multiarray.scalar",
        "numpy.core.numeric._frombuffer",
        "numpy.dtype",
        "numpy.ndarray",
    ]
    assert all(getattr(value, "__module__", "") == pickled.__name__ for value in pickled._KNOWN.values())


def test_bytes_cut_anywhere_are_refused_in_one_line(tmp_path: Path) -> None:
    content = pickletools.optimize(pickle.dumps({"v": np.ones((3, 2), np.float32)}))
    for end in range(len(content)):
        with pytest.raises(DataError, match="not readable as pickled arrays"):
            rows_of(tmp_path / "v.pkl", content[:end])
