"""The methods by name: the folders of `abaw/semisup/methods`, and the files outside the package that a run names."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from abaw.core.errors import ConfigError, nearest
from abaw.semisup import methods
from abaw.semisup.method_file import SUFFIX, MethodFile, load_method_file
from abaw.semisup.settings import LabelledLearning

if TYPE_CHECKING:
    from abaw.semisup.image_method import ImageMethod

_files: dict[str, MethodFile] = {}


def method_names() -> tuple[str, ...]:
    """All methods: those of the package, sorted by name, then those in files."""
    return (*_package_names(), *_files)


@cache
def _package_names() -> tuple[str, ...]:
    return tuple(sorted(module.name for module in pkgutil.iter_modules(methods.__path__)))


def method_files() -> Mapping[str, Path]:
    """The files of methods outside the package, by the name of the method."""
    return {name: file.path for name, file in _files.items()}


def method_file_hash(name: str) -> str | None:
    """SHA-256 of the file that a method was loaded from; None for a method of the package."""
    return _files[name].hash if name in _files else None


def method_name(text: str) -> str:
    """The name of a method that is given by its name or as a file, which is then a method of its stem's name.

    A file that has changed since it was named before is loaded again; objects of its earlier classes stay as they are.
    Raises ConfigError for a file that defines no method, or has the name of another method.
    """
    if not text.endswith(SUFFIX):
        return text
    path = Path(text).resolve()
    name = path.stem
    loaded = _files.get(name)
    if not name.isidentifier() or name in _package_names() or (loaded is not None and loaded.path != path):
        raise ConfigError(
            f"{text}: '{name}' cannot be the name of a method: it is another method's, or has characters other than "
            "letters, digits and _; rename the file"
        )
    _files.pop(name, None)  # a file that cannot be loaded any more is no method
    _files[name] = load_method_file(path, loaded)
    return name


def settings_class(name: str) -> type[LabelledLearning]:
    """The settings of a method; those of the package are read without torch. Raises ConfigError for an unknown name."""
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
        raise ConfigError(
            f"no method '{name}'; expected one of {', '.join(names)}, or the path of a Python file"
            f".{nearest(name, names)}"
        )


def _module(name: str, part: str) -> Any:
    require_method(name)
    if name in _files:
        return _files[name].module
    return importlib.import_module(f"{methods.__name__}.{name}.{part}")
