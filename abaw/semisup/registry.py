"""The methods by name: the folders of `abaw/semisup/methods`. Nothing else lists them."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING, Any

from abaw.core.errors import ConfigError, nearest
from abaw.semisup import methods
from abaw.semisup.settings import LabelledLearning

if TYPE_CHECKING:
    from abaw.semisup.image_method import ImageMethod


@cache
def method_names() -> tuple[str, ...]:
    """All methods, sorted by name."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(methods.__path__)))


def settings_class(name: str) -> type[LabelledLearning]:
    """The settings of a method, read without torch. Raises ConfigError for an unknown name."""
    found: type[LabelledLearning] = _module(name, "settings").SETTINGS
    return found


def method_class(name: str) -> type[ImageMethod[Any]]:
    """The method itself. Raises ConfigError for an unknown name."""
    found: type[ImageMethod[Any]] = _module(name, "method").METHOD
    return found


def require_method(name: str) -> None:
    """Raise ConfigError for an unknown name."""
    names = method_names()
    if name not in names:
        raise ConfigError(f"no method '{name}'; expected one of {', '.join(names)}.{nearest(name, names)}")


def _module(name: str, part: str) -> Any:
    require_method(name)
    return importlib.import_module(f"{methods.__name__}.{name}.{part}")
