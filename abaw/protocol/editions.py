"""Submission formats by edition, from `data_manifests/editions.yaml`."""

from __future__ import annotations

from dataclasses import dataclass

from abaw.core.errors import ConfigError, nearest
from abaw.protocol.manifests import load_manifest


@dataclass(frozen=True, slots=True)
class Edition:
    """How one edition wants its file: the exact header and the range of labels."""

    name: str
    title: str
    header: str
    num_classes: int


def edition(name: str) -> Edition:
    """The edition of that name. Raises ConfigError that lists those there are."""
    known = load_manifest("editions")
    if name not in known:
        raise ConfigError(f"unknown edition '{name}'; there are {', '.join(known)}.{nearest(name, known)}")
    facts = known[name]
    return Edition(name, facts["title"], facts["header"], facts["num_classes"])
