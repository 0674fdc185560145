"""What an extractor is: a frozen network, the picture that it expects, and what identifies it.

Shapes: B batch, S side of a picture in pixels, D feature, C class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from abaw.core.artifacts import value_hash
from abaw.core.errors import ConfigError, DataError
from abaw.core.ranges import require_at_least
from abaw.core.text import one_line
from abaw.stores.crop import Crop

Outputs = Literal["features", "logits"]
Compute = Callable[[NDArray[np.uint8]], NDArray[np.floating]]
"""Crops (B, 3, S, S) uint8 RGB -> features (B, D)."""

_GREY = 128


@dataclass(frozen=True, slots=True)
class Head:
    """The expression head of a network. classify: features (B, D) -> logits (B, C); classes: in that order."""

    classify: Callable[[NDArray[np.floating]], NDArray[np.float32]]
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Extractor:
    """A frozen network that computes features of face crops.

    name: what messages call it; side: S, to which crops are scaled; crop: the kind of crop that it expects, None for
    any; compute: runs the network; feature_dim: D; weights_sha256: of the weights; settings: what else decides its
    features (none for checkpoints of this project, whose spec goes with the weights); head: None for a network without
    one; trained_on: what it was trained on; origin: what else stores record of it; notes: what the user should know.

    flip: average the features of each crop and its mirror image; batch_size: crops per forward pass; outputs: the
    features, or the logits of the head. Raises ConfigError for a batch size below 1, and for logits without a head.
    """

    name: str
    side: int
    crop: Crop | None
    compute: Compute
    feature_dim: int
    weights_sha256: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    head: Head | None = None
    trained_on: tuple[str, ...] = ()
    origin: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    flip: bool = False
    batch_size: int = 128
    outputs: Outputs = "features"

    def __post_init__(self) -> None:
        require_at_least(1, self, "batch_size")
        if self.outputs == "logits" and self.head is None:
            raise ConfigError(f"outputs logits: {self.name} has no expression head; leave --outputs out")

    @property
    def dim(self) -> int:
        """Numbers per frame."""
        return self.feature_dim if self.outputs == "features" or self.head is None else len(self.head.classes)

    @property
    def weights_id(self) -> str:
        """16 hexadecimal digits that identify the weights."""
        return self.weights_sha256[:16]

    @property
    def source(self) -> str:
        """The name of these features in stores (`backbone`): `weights_id`, then `/` and a hash of the settings if there
        are any, then `/logits` for logits."""
        parts = [self.weights_id, *([value_hash(self.settings)[:8]] if self.settings else [])]
        return "/".join([*parts, *(["logits"] if self.outputs == "logits" else [])])

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that the numbers in a store depend on besides the crops."""
        return (
            {"weights": self.weights_sha256, "flip": self.flip}
            | ({"settings": self.settings} if self.settings else {})
            | ({"outputs": "logits"} if self.outputs == "logits" else {})
        )

    def features(self, images: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Crops (B, 3, S, S) uint8 RGB -> (B, D), or (B, C) for logits; infinite where float16 cannot hold a number."""
        features = self.compute(images)
        if self.flip:
            features = (features + self.compute(np.ascontiguousarray(images[..., ::-1]))) / 2
        if self.outputs == "logits" and self.head is not None:
            features = self.head.classify(features)
        with np.errstate(over="ignore"):
            return features.astype(np.float16)


def measured_dim(compute: Compute, side: int, name: str) -> int:
    """D, found by running a network on two grey pictures.

    Raises DataError when it does not run on them, returns anything but one row per picture, or is not finite.
    """
    pictures = np.full((2, 3, side, side), _GREY, np.uint8)
    try:
        found = compute(pictures)
    except (AssertionError, RuntimeError, ValueError, TypeError) as error:
        raise DataError(
            f"{name}: does not run on pictures of {side}x{side} pixels ({one_line(error)}); try another size"
        ) from error
    if found.ndim != 2 or len(found) != len(pictures):
        raise DataError(
            f"{name}: returns {list(found.shape)} for 2 pictures, expected [2, D]; choose another pooling or output"
        )
    if not np.issubdtype(found.dtype, np.floating):
        raise DataError(f"{name}: returns {found.dtype}, expected numbers with decimals; choose another output")
    if not np.isfinite(found).all():
        raise DataError(
            f"{name}: returns numbers that are not finite (NaN, infinity) for a grey picture; give other weights"
        )
    return int(found.shape[1])
