"""Extractors by name: `PREFIX:ARGUMENT`, or the folder of a static checkpoint.

A prefix is the name of a module in `abaw/extractors/kinds`, which has `USES`, the settings that mean something for it,
and `open_extractor(argument, settings, device, threads)`. Nothing lists the modules: a new kind is one new file.
"""

from __future__ import annotations

import pkgutil
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol

from abaw.core.errors import DataError
from abaw.extractors import kinds
from abaw.extractors.settings import NOTHING, ExtractorSettings, require_uses

if TYPE_CHECKING:
    from abaw.core.device import Device
    from abaw.extractors.extractor import Extractor

CHECKPOINT: Final = "checkpoint"
"""The kind of a name without a prefix."""


class Kind(Protocol):
    """The module of a kind of extractor."""

    USES: frozenset[str]

    def open_extractor(
        self, argument: str, settings: ExtractorSettings, device: Device, threads: int | None
    ) -> Extractor:
        """argument: the name without its prefix; threads: of the processor, None for all. Raises AbawError."""
        ...


@cache
def prefixes() -> tuple[str, ...]:
    """All kinds of extractor, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(kinds.__path__)))


def split_name(name: str) -> tuple[str, str]:
    """The kind of an extractor and the rest of its name. A path that looks like one is written `./onnx:…`."""
    prefix, colon, argument = name.partition(":")
    return (prefix, argument) if colon and prefix in prefixes() else (CHECKPOINT, name)


def is_external(name: str) -> bool:
    """Whether a name stands for a network of another project, which has no expression head."""
    return split_name(name)[0] != CHECKPOINT


def require_head(name: str | Path) -> None:
    """Raise DataError for a network that cannot predict expressions."""
    if is_external(str(name)):
        raise DataError(
            f"{name}: has no expression head, it only computes features; train a model on them (`abaw features`, then "
            "`abaw train-temporal`) and give that checkpoint"
        )


def open_extractor(
    name: str | Path,
    device: Device,
    settings: ExtractorSettings = NOTHING,
    threads: int | None = None,
    *,
    flip: bool = False,
    batch_size: int = 128,
    outputs: Literal["features", "logits"] = "features",
) -> Extractor:
    """The extractor of this name, ready to compute on the device; flip, batch_size, outputs: see Extractor.

    Raises CheckpointError or DataError for weights that are missing, damaged or unsuitable, and ConfigError for
    settings that are missing or have no meaning for it.
    """
    name = str(name)
    prefix, argument = split_name(name)
    # Loaded by name: every kind needs another library, and some are not installed everywhere.
    kind: Kind = import_module(f"{kinds.__name__}.{prefix}")
    require_uses(settings, kind.USES, name)
    extractor = kind.open_extractor(argument, settings, device, threads)
    return replace(extractor, flip=flip, batch_size=batch_size, outputs=outputs)
