"""Which model of sound, and its options; separate from the models, because each needs another library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from abaw.core.errors import ConfigError, nearest

KINDS: Final = {"logmel": "", "opensmile": "SET", "hf": "NAME_OR_FOLDER"}
"""Kind of model -> what is given after it; "" for nothing."""


@dataclass(frozen=True, slots=True)
class SoundOptions:
    """How a model is used. layer: of a transformer, from 0 (before the first block); None for the last. device: of
    torch."""

    layer: int | None = None
    device: str = "cpu"


def parse_model(text: str, layer: int | None = None) -> tuple[str, str]:
    """The kind and the name in `logmel`, `opensmile:SET` or `hf:NAME_OR_FOLDER`.

    Raises ConfigError for anything else, and for a layer of a model that has none.
    """
    kind, separator, name = text.partition(":")
    if kind not in KINDS:
        known = ", ".join(f"{each}:{what}" if what else each for each, what in KINDS.items())
        raise ConfigError(f"--model {text}: expected one of {known}.{nearest(kind, KINDS)}")
    if bool(name) != bool(KINDS[kind]) or (separator and not name):
        expected = f"{kind}:{KINDS[kind]}" if KINDS[kind] else kind
        raise ConfigError(f"--model {text}: expected {expected}")
    if layer is not None and kind != "hf":
        raise ConfigError(f"--layer {layer}: only models hf:NAME_OR_FOLDER have layers, not {text}")
    return kind, name
