"""`.pkl`, `.pickle`: arrays, alone or in dictionaries, lists and tuples, and nothing else.

Unpickling calls whatever a file names, so a file can run any program. This unpickler knows the few names with which
arrays of NumPy are pickled, and in their place calls the classes below, which only keep what they are given: a file
cannot call any function of NumPy or of another package.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.core.reading import read_errors
from abaw.importing.features.arrays import ArrayFile, Leaf, tree_of
from abaw.importing.features.rows import ReadOptions

_DTYPE = re.compile(r"[<>=|]?(?P<code>[fiub][1248])")
_REMEDY = "save plain dictionaries of NumPy arrays ({key: tensor.numpy()}), or another format"


class _Part:
    """What a file may create. State that it was not made for is refused."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a state for something that has none")


class _Dtype(_Part):
    """In place of numpy.dtype, real numbers of up to 64 bits."""

    __slots__ = ("code", "order")

    def __init__(self, code: Any, align: Any = False, copy: Any = True) -> None:
        match = _DTYPE.fullmatch(code) if isinstance(code, str) else None
        if match is None:
            raise pickle.UnpicklingError(f"an array of type {str(code)[:20]!r}; expected real numbers")
        self.code, self.order = match["code"], "="

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        if order not in ("<", ">", "=", "|"):
            raise pickle.UnpicklingError("an array of another type than numbers")
        self.order = order

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.order.replace("|", "=") + self.code)


class _Array(_Part):
    """In place of an array that is created empty and then gets its state."""

    __slots__ = ("values",)
    values: NDArray[Any]

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, is_fortran, data = state
        self.values = _shaped(data, dtype, shape, "F" if is_fortran else "C")


class _NdArray(_Part):
    """In place of the class numpy.ndarray, which is passed to `_reconstruct`."""

    __slots__ = ()


class _Function(_Part):
    """A function that a file may call; a file cannot change it, as it could a function of Python."""

    __slots__ = ()


class _Reconstruct(_Function):
    __slots__ = ()

    def __call__(self, kind: Any, shape: Any, code: Any) -> _Array:
        if kind is not _NdArray:
            raise pickle.UnpicklingError("an array of a class of its own")
        return _Array()


class _FromBuffer(_Function):
    __slots__ = ()

    def __call__(self, data: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> _Array:
        if axes is not None:
            raise pickle.UnpicklingError("an array with permuted axes")
        array = _Array()
        array.values = _shaped(data, dtype, shape, order)
        return array


class _Scalar(_Function):
    __slots__ = ()

    def __call__(self, dtype: Any, data: Any) -> _Array:
        array = _Array()
        array.values = _shaped(data, dtype, (), "C")
        return array


class _Encode(_Function):
    """Old protocols write bytes as text, which `_codecs.encode` turns back."""

    __slots__ = ()

    def __call__(self, text: Any, encoding: Any) -> bytes:
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise pickle.UnpicklingError("an encoding other than latin1")
        return text.encode("latin-1")


_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
_KNOWN: Mapping[tuple[str, str], Any] = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _NdArray,
    ("_codecs", "encode"): _Encode(),
    **{(module, "_reconstruct"): _Reconstruct() for module in _MULTIARRAY},
    **{(module, "scalar"): _Scalar() for module in _MULTIARRAY},
    **{(module, "_frombuffer"): _FromBuffer() for module in ("numpy.core.numeric", "numpy._core.numeric")},
}


def _shaped(data: Any, dtype: Any, shape: Any, order: Any) -> NDArray[Any]:
    if isinstance(data, str):  # bytes of Python 2, read as latin1
        data = data.encode("latin-1")
    if not isinstance(dtype, _Dtype) or not isinstance(data, bytes | bytearray) or order not in ("C", "F"):
        raise pickle.UnpicklingError("an array of anything else than numbers")
    if not isinstance(shape, tuple) or not all(type(size) is int and size >= 0 for size in shape):
        raise pickle.UnpicklingError("an array whose shape is no shape")
    return np.frombuffer(data, dtype.dtype).reshape(shape, order=order)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"'{module}.{name}', which is no array of numbers, is not loaded") from None


def open_file(path: Path, options: ReadOptions) -> ArrayFile:
    # What the bytes of something else than a pickle raise is not limited to a few kinds of error.
    with read_errors(path, "not readable as pickled arrays", _REMEDY, (Exception,)), path.open("rb") as file:
        content = _Unpickler(file, encoding="latin1").load()
    return ArrayFile(path, tree_of(path, content, lambda value, name: _leaf(path, value, name)), options)


def _leaf(path: Path, value: Any, name: str) -> Leaf | None:
    if isinstance(value, _Array) and hasattr(value, "values"):
        values = value.values
        return Leaf(lambda: values)
    return Leaf(lambda: _stacked(path, name, value)) if isinstance(value, list | tuple) else None


def _stacked(path: Path, name: str, values: Any) -> NDArray[Any]:
    with read_errors(
        path, f"its key '{name}' is no list of numbers", "", (ValueError, TypeError, AttributeError, RecursionError)
    ):
        return np.array(_plain(values), dtype=np.float64)


def _plain(value: Any) -> Any:
    """Lists of lists with arrays in place of what stands for them."""
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.values if isinstance(value, _Array) else value
