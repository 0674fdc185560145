"""Checkpoints: a folder with `weights.safetensors`, `spec.json` and, for resuming, `state.pt`.

A model is rebuilt from its spec; prediction unpickles nothing. `spec.json` is written last and holds the hash of the
weights, which reveals a folder where a killed process left new weights with an old spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import is_zipfile

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from abaw.core.artifacts import atomic_path, file_hash, write_json
from abaw.core.config import to_plain
from abaw.core.reading import read_errors
from abaw.stores.spec import SPEC, CheckpointError, Kind, Spec, load_spec

WEIGHTS = "weights.safetensors"
STATE = "state.pt"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint in memory. weights: by parameter name, on the CPU."""

    path: Path
    spec: Spec
    weights: dict[str, Tensor]


def save_checkpoint(folder: Path, spec: Spec, weights: Mapping[str, Tensor]) -> Spec:
    """Write the weights, then the spec, and return the spec with the hash. An existing checkpoint is replaced."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    with atomic_path(folder / WEIGHTS) as temporary:
        save_file(tensors, temporary)
        digest = file_hash(temporary)
    complete = replace(spec, weights_sha256=digest)
    write_json(folder / SPEC, to_plain(complete))
    return complete


def load_checkpoint(folder: Path, kind: Kind | None = None) -> Checkpoint:
    """Read spec and weights. Raises CheckpointError when one is missing or damaged, or they do not belong together."""
    spec = load_spec(folder, kind)
    path = folder / WEIGHTS
    with read_errors(path, "not readable", "train again or copy it again", (SafetensorError,), CheckpointError):
        digest = file_hash(path)
        weights = load_file(path)
    if digest != spec.weights_sha256:
        raise CheckpointError(f"{folder}: {WEIGHTS} and {SPEC} do not belong together; resume the training run")
    return Checkpoint(folder, spec, weights)


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a resume state (tensors, numbers, strings, lists, dicts) atomically."""
    with atomic_path(path) as temporary:
        torch.save(dict(state), temporary)


def load_state(path: Path) -> dict[str, Any] | None:
    """Read a resume state, None when there is none. Only plain values and tensors are unpickled."""
    if not path.exists():
        return None
    remedy = "remove it to restart the run from the beginning"
    # Old pickles and arbitrary bytes can make the unpickler fail in any way; torch writes zip archives.
    with read_errors(path, "not readable", remedy, (RuntimeError, UnpicklingError), CheckpointError):
        with path.open("rb") as file:
            if not is_zipfile(file):
                raise CheckpointError(f"{path}: not readable (not an archive written by torch); {remedy}")
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state
