"""Libraries that only some choices need: they are installed on request."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from abaw.core.errors import ConfigError


class MissingLibraryError(ConfigError):
    """A library that a choice needs is not installed, or does not load."""


def load_extra(module: str, extra: str) -> Any:
    """A library of the extra `extra` of this package. Raises MissingLibraryError when it is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        reason = "is not installed" if error.name == module else f"cannot be loaded ({error})"
        raise MissingLibraryError(
            f"{module} {reason}; `pip install 'abaw[{extra}]'`, or `pip install {module}` into the same environment"
        ) from error
