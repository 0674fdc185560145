"""Weights that other projects saved: files of safetensors or torch, read without unpickling code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from abaw.core.errors import DataError
from abaw.core.reading import read_errors
from abaw.core.text import listed

_WRAPPERS: Final = ("state_dict", "model", "model_state_dict", "teacher")
"""Keys under which training scripts keep the weights."""
_COUNTERS: Final = "num_batches_tracked"
"""Batch normalisation counts batches with it in training; older files lack it."""


def read_weight_file(path: Path) -> dict[str, Tensor]:
    """Weights by name, from a `.safetensors` file or one of torch.save.

    Raises DataError for a file that is missing, damaged, holds more than plain tensors, or has numbers that are not
    finite.
    """
    remedy = "give a .safetensors file, or one that torch.save wrote from a state_dict"
    # The unpickler that admits tensors alone fails in any way on other files.
    with read_errors(path, "holds no weights", remedy, (SafetensorError, Exception)):
        path.open("rb").close()  # its errors have numbers, those of safetensors are texts
        if path.suffix == ".safetensors":
            found: Any = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    while isinstance(found, Mapping) and (inner := [found[key] for key in _WRAPPERS if key in found]):
        found = inner[0]
    if not isinstance(found, Mapping):
        raise DataError(f"{path}: expected weights by name, found {type(found).__name__}; {remedy}")
    weights = {str(name).removeprefix("module."): value for name, value in found.items() if isinstance(value, Tensor)}
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise DataError(f"{path}: numbers in '{name}' are not finite (NaN, infinity); give another file")
    return weights


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], path: Path, name: str) -> None:
    """Load weights that include all those of the network; further ones, such as those of a head, are left out.

    path, name: of the file and of the network, for messages. Raises DataError when some are missing or have another
    shape.
    """
    expected = network.state_dict()
    missing = [key for key in expected if key not in weights and not key.endswith(_COUNTERS)]
    if missing:
        raise DataError(
            f"{path}: lacks {len(missing)} of the {len(expected)} weights of {name} ({listed(missing, 3)}); give the "
            "weights of this network"
        )
    for key in expected:
        if key in weights and weights[key].shape != expected[key].shape:
            raise DataError(
                f"{path}: '{key}' has the shape {list(weights[key].shape)}, {name} expects "
                f"{list(expected[key].shape)}; give the weights of this network"
            )
    network.load_state_dict({key: weights[key] for key in expected if key in weights}, strict=False)
