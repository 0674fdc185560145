"""Reads `data_manifests/`: facts in text files that anyone can read and correct."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from abaw.core.errors import ConfigError, nearest

_PACKAGE = "data_manifests"


@cache
def manifests_folder() -> Path:
    """The folder of the manifests. (`importlib.resources` fails on the path hook of an editable install.)"""
    return next(folder for folder in map(Path, import_module(_PACKAGE).__path__) if folder.is_dir())


@cache
def load_manifest(name: str) -> dict[str, Any]:
    """The content of `data_manifests/<name>.yaml`. Raises ConfigError for an unknown name."""
    folder = manifests_folder()
    file = folder / f"{name}.yaml"
    if not file.is_file():
        known = sorted(file.stem for file in folder.glob("*.yaml"))
        raise ConfigError(
            f"no manifest '{name}' in data_manifests; choose from {', '.join(known)}.{nearest(name, known)}"
        )
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return content
