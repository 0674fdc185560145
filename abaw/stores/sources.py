"""Sources: what the features of a video describe and which model computed them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from abaw.core.errors import ConfigError, nearest
from abaw.core.typed import from_plain
from abaw.protocol.classes import NUM_EXPRESSIONS
from abaw.stores.spec import Spec

FACE = "face"
"""The modality of features of a face; also of stores that do not record one."""
SOUND = "sound"
LOGITS = "/logits"
"""The end of the backbone of features that are a static model's logits."""
_JOIN = "+"


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of features.

    name: of the folder of its stores; backbone: identifies the weights that computed them; dim: D, numbers per frame;
    modality: `face`, or what else they describe, such as sound. A frame has a face where a source of modality `face` is
    present; other modalities say nothing about faces.
    """

    name: str
    backbone: str
    dim: int
    modality: str = FACE


def is_logits(source: Source) -> bool:
    """Whether the source holds the class logits of a static model, not features."""
    return source.backbone.endswith(LOGITS) and source.dim == NUM_EXPRESSIONS


def joined_backbone(sources: Sequence[Source]) -> str:
    """The backbones of several sources in this order, joined by `+`."""
    return _JOIN.join(source.backbone for source in sources)


def chosen_sources(choice: str | None, names: Sequence[str]) -> tuple[int, ...]:
    """The indices of the chosen sources, in the order of `names`.

    choice: numbers from 0, or names, joined by `+`; None for all of them. Raises ConfigError for a source that does not
    exist, is named ambiguously, or is chosen twice.
    """
    if choice is None:
        return tuple(range(len(names)))
    found = [_index(choice, text.strip(), names) for text in choice.split(_JOIN)]
    if len(set(found)) < len(found):
        raise ConfigError(f"sources {choice}: a source is chosen twice")
    return tuple(sorted(found))


def _index(choice: str, text: str, names: Sequence[str]) -> int:
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    matches = [index for index, name in enumerate(names) if name == text]
    if len(matches) == 1:
        return matches[0]
    known = ", ".join(f"{index} ({name})" for index, name in enumerate(names))
    reason = "several --features have this name, so give its number" if matches else "not among the --features"
    raise ConfigError(f"sources {choice}: '{text}' is {reason}; expected {known}, joined by +.{nearest(text, names)}")


def spec_sources(spec: Spec) -> tuple[Source, ...]:
    """The sources of a temporal model, in the order of its input.

    Checkpoints of earlier versions have one: the features of all their folders side by side (see `spec_backbones`).
    Raises ValueError when the spec contradicts itself, or records something else.
    """
    recorded = from_plain(_Recorded, {"sources": spec.input.get("sources")}, "input").sources
    if recorded is None:
        return (Source("features", str(spec.input["backbone"]), spec.feature_dim),)
    dims = [source.dim for source in recorded]
    if min(dims, default=0) < 1 or sum(dims) != spec.feature_dim:
        raise ValueError(f"the spec has {spec.feature_dim} features per frame, but its sources have {dims}")
    return recorded


@dataclass(frozen=True, slots=True)
class _Recorded:
    sources: tuple[Source, ...] | None


def spec_backbones(spec: Spec) -> tuple[tuple[str, ...], ...]:
    """The backbones of each source of a temporal model: one; in checkpoints of earlier versions all of them."""
    if spec.input.get("sources") is None:
        return (tuple(str(spec.input["backbone"]).split(_JOIN)),)
    return tuple((source.backbone,) for source in spec_sources(spec))
