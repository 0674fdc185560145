"""Published figures, shown next to ours where the protocol is the same or similar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from abaw.core.errors import ConfigError, nearest
from abaw.data.label_portions import Portion

_MANIFEST = "published_semisup"


@dataclass(frozen=True)
class Published:
    """One row. accuracy: 0..1 by portion; note: how the protocol differs from ours."""

    name: str
    source: str
    note: str
    accuracy: Mapping[Portion, float]


def published_rows(name: str) -> tuple[Published, ...]:
    """The rows of one protocol. Raises ConfigError for a name that is not in the manifest."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.protocol.manifests import load_manifest

    protocols = load_manifest(_MANIFEST)
    if name not in protocols:
        raise ConfigError(
            f"--published {name}: not in data_manifests/{_MANIFEST}.yaml; there are "
            f"{', '.join(protocols)}.{nearest(name, protocols)}"
        )
    protocol = protocols[name]
    return tuple(
        Published(
            row["name"],
            protocol["source"],
            protocol["note"],
            {_portion(protocol["portion"], value): float(score) / 100 for value, score in row["accuracy"].items()},
        )
        for row in protocol["rows"]
    )


def _portion(kind: str, value: float) -> Portion:
    return Portion(per_class=int(value)) if kind == "per_class" else Portion(share=float(value))
