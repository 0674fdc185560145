"""Random generators that depend on a seed and a name, never on the order of calls."""

from __future__ import annotations

import hashlib

import numpy as np

from abaw.core.artifacts import utf8


def derive_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for one purpose, e.g. derive_seed(0, "train", epoch). Equal arguments give equal seeds."""
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(utf8(text)).digest()[:8], "big") >> 1


def numpy_generator(seed: int, *names: str | int) -> np.random.Generator:
    """A generator seeded with `derive_seed`."""
    return np.random.default_rng(derive_seed(seed, *names))
