"""Checkpoints: a folder with `weights.safetensors`, `spec.json` and, for resuming, `state.pt`.

A model is rebuilt from its spec; prediction unpickles nothing. `spec.json` is written last and holds the hash of the
weights, which reveals a folder where a killed process left new weights with an old spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import IO, Any
from zipfile import is_zipfile

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from abaw.core.artifacts import atomic_path, file_hash, json_bytes
from abaw.core.config import to_plain
from abaw.core.reading import because, read_errors
from abaw.core.text import listed
from abaw.stores.spec import GRAPH, SPEC, WEIGHTS, CheckpointError, Kind, Spec, is_exported, load_spec

STATE = "state.pt"
_RESTART = "remove it to restart the run from the beginning"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint in memory. weights: by parameter name, on the CPU."""

    path: Path
    spec: Spec
    weights: dict[str, Tensor]


def save_checkpoint(folder: Path, spec: Spec, weights: Mapping[str, Tensor], half: bool = False) -> Spec:
    """Write the weights, then the spec, and return the spec with the hash. An existing checkpoint is replaced.

    half: round float32 weights to float16, for half the size; they are read as float32 again.
    Raises CheckpointError, before anything is written, for weights that are not finite, and StorageError when writing
    fails: both files are complete on disk before either takes its name, so the existing checkpoint stays usable.
    """
    data = weights_bytes(folder / WEIGHTS, halved(weights) if half else weights)
    complete = replace(spec, weights_sha256=sha256(data).hexdigest())
    with atomic_path(folder / SPEC) as new_spec, atomic_path(folder / WEIGHTS) as new_weights:
        new_spec.write_bytes(json_bytes(to_plain(complete)))
        new_weights.write_bytes(data)
        (folder / GRAPH).unlink(missing_ok=True)  # it would be that of the weights before
    return complete


def load_checkpoint(folder: Path, kind: Kind | None = None) -> Checkpoint:
    """Read spec and weights.

    Raises CheckpointError when one is missing or damaged, when they do not belong together, or when a weight is not
    finite.
    """
    if is_exported(folder):
        raise CheckpointError(
            f"{folder}: an exported model predicts, and has no weights to go on with; give the checkpoint"
        )
    spec = load_spec(folder, kind)
    weights = read_weights(folder / WEIGHTS)
    if file_hash(folder / WEIGHTS) != spec.weights_sha256:
        raise CheckpointError(f"{folder}: {WEIGHTS} and {SPEC} do not belong together; resume the training run")
    return Checkpoint(folder, spec, weights)


def halved(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights with float32 rounded to float16; numbers beyond its range become infinite."""
    return {name: value.half() if value.dtype == torch.float32 else value for name, value in weights.items()}


def weights_bytes(path: Path, weights: Mapping[str, Tensor]) -> bytes:
    """The content of a file of weights. path: for the message. Raises CheckpointError if a weight is not finite."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    _require_finite(path, tensors, "not written: lower the learning rate")
    return save(tensors)


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights in a file, float16 as float32.

    Raises CheckpointError if it is missing or damaged, or a weight is not finite.
    """
    with read_errors(path, "not readable", "train again or copy it again", (SafetensorError,), CheckpointError):
        path.open("rb").close()  # its errors have numbers, those of safetensors are texts
        weights = load_file(path)
    _require_finite(path, weights, "train again, with a lower learning rate")
    return {name: value.float() if value.dtype == torch.float16 else value for name, value in weights.items()}


def _require_finite(path: Path, weights: Mapping[str, Tensor], remedy: str) -> None:
    """Raise CheckpointError, naming the first tensor at fault, unless all numbers are finite."""
    for name, tensor in weights.items():
        wrong = int((~torch.isfinite(tensor.float())).sum()) if tensor.is_floating_point() else 0
        if wrong:
            raise CheckpointError(
                f"{path}: {wrong} of the {tensor.numel()} numbers in '{name}' are not finite (NaN, infinity); {remedy}"
            )


def require_shapes(folder: Path, weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError, naming the first difference, unless the weights have these names, shapes and types.

    expected: the weights of the model that the spec describes, built on the device "meta", which takes no memory.
    """
    different = [name for name in (*expected, *weights) if name not in weights or name not in expected]
    if different:
        verb = "lack" if different[0] in expected else "also have"
        raise misfit(folder, f"the weights {verb} {listed(different)}")
    for name, tensor in expected.items():
        wanted, found = (f"{list(each.shape)} {each.dtype}" for each in (tensor, weights[name]))
        if wanted != found:
            raise misfit(folder, f"'{name}' is {found}; the model of the spec has {wanted}")


def misfit(folder: Path, reason: Exception | str) -> CheckpointError:
    """The error for a checkpoint whose weights are not those of the model that its spec describes."""
    return CheckpointError(f"{folder}: its weights do not fit its spec: {reason}")


class _KeepsError:
    """A file for torch.save that keeps the first OSError: torch's writer would replace it by an error of its own."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        if self.error is None:
            try:
                self._file.write(data)
            except OSError as error:
                self.error = error
        return len(data)

    def flush(self) -> None:
        """Everything is flushed when the file is closed."""


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a resume state (tensors, numbers, strings, lists, dicts) atomically. Raises StorageError on failure."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        writer = _KeepsError(file)
        torch.save(dict(state), writer)  # type: ignore[arg-type]
        if writer.error is not None:
            raise writer.error


def load_state(path: Path) -> dict[str, Any] | None:
    """Read a resume state, None when there is none. Only plain values and tensors are unpickled."""
    if not path.exists():
        return None
    # Old pickles and arbitrary bytes can make the unpickler fail in any way; torch writes zip archives.
    with read_errors(path, "not readable", _RESTART, (Exception,), CheckpointError):
        with path.open("rb") as file:
            if not is_zipfile(file):
                raise ValueError("not an archive written by torch")
        state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict):
        raise unusable_state(path, f"expected a dict, found {type(state).__name__}")
    return state


def unusable_state(path: Path, reason: Exception | str) -> CheckpointError:
    """The error for a resume state whose content is not what this run wrote."""
    return CheckpointError(f"{path}: {because('not readable', reason, _RESTART)}")
