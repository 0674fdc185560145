"""Checkpoints: a folder with `weights.safetensors`, `spec.json` and, for resuming, `state.pt`.

A model is rebuilt from its spec; prediction unpickles nothing. `spec.json` is written last and holds the hash of the
weights, which reveals a folder where a killed process left new weights with an old spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal
from zipfile import is_zipfile

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from abaw.core.artifacts import atomic_path, file_hash, read_json, write_json
from abaw.core.config import to_plain
from abaw.core.errors import DataError

WEIGHTS = "weights.safetensors"
SPEC = "spec.json"
STATE = "state.pt"

Kind = Literal["static", "backbone", "temporal"]


class CheckpointError(DataError):
    """A checkpoint that is missing, damaged, or unsuitable for its use."""


@dataclass(frozen=True, slots=True)
class Spec:
    """Everything besides the weights that is needed to rebuild and use a model.

    kind: `static` (image -> feature and logits), `backbone` (image -> feature) or `temporal` (features -> logits).
    architecture: arguments of the model's factory, e.g. {"name": "resnet18"}.
    classes: class names in the order of the outputs.
    feature_dim: D of the static model's output, or of the temporal model's input.
    input: for `static` and `backbone` {"size": px, "mean": [3], "std": [3]}; for `temporal` {"window", "hop",
    "backbone": hash}.
    training: provenance (recipe, seeds, data, scores).
    weights_sha256: filled in on saving.
    """

    kind: Kind
    architecture: Mapping[str, Any]
    classes: tuple[str, ...]
    feature_dim: int
    input: Mapping[str, Any]
    training: Mapping[str, Any] = field(default_factory=dict)
    weights_sha256: str = ""

    @property
    def weights_id(self) -> str:
        """16 hexadecimal digits that identify these weights in stores made with them."""
        return self.weights_sha256[:16]


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


def load_spec(folder: Path, kind: Kind | None = None) -> Spec:
    """Read `spec.json`. Raises CheckpointError when it is missing, lacks a key or is of another kind."""
    path = folder / SPEC
    if not path.exists():
        raise CheckpointError(f"{folder}: no checkpoint there (no {SPEC}); give the folder that holds {SPEC}")
    values = read_json(path)
    try:
        spec = Spec(**{**values, "classes": tuple(values["classes"])})
    except (TypeError, KeyError) as error:
        raise CheckpointError(
            f"{path}: not a spec of this version ({error}); train again or use its version"
        ) from error
    if kind is not None and spec.kind != kind:
        raise CheckpointError(f"{folder}: expected a {kind} checkpoint, found a {spec.kind} one")
    return spec


def load_checkpoint(folder: Path, kind: Kind | None = None) -> Checkpoint:
    """Read spec and weights. Raises CheckpointError when one is missing or damaged, or they do not belong together."""
    spec = load_spec(folder, kind)
    path = folder / WEIGHTS
    try:
        weights = load_file(path)
        digest = file_hash(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: not readable ({error}); train again or copy it again") from error
    if digest != spec.weights_sha256:
        raise CheckpointError(f"{folder}: {WEIGHTS} and {SPEC} do not belong together; resume the training run")
    return Checkpoint(folder, spec, weights)


def require_classes(spec: Spec, classes: tuple[str, ...], folder: Path) -> None:
    """Raise CheckpointError when the checkpoint's classes are not these, in this order."""
    if spec.classes != classes:
        raise CheckpointError(
            f"{folder}: class order differs: expected {', '.join(classes)}; found {', '.join(spec.classes)}"
        )


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
    if not is_zipfile(path):
        raise CheckpointError(f"{path}: not readable (not an archive written by torch); {remedy}")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, UnpicklingError) as error:
        raise CheckpointError(f"{path}: not readable ({error}); {remedy}") from error
    return state
