"""Methods in files outside the package: one Python file with the settings class and the method."""

from __future__ import annotations

import sys
from dataclasses import is_dataclass
from pathlib import Path
from types import ModuleType

from abaw.core.errors import ConfigError
from abaw.core.python_file import load_python_file
from abaw.semisup.settings import LabelledLearning

SUFFIX = ".py"
_MODULE = "abaw_method_file_"
_EXAMPLE = "docs/semi-supervised.md has an example"


def load_method_file(path: Path) -> ModuleType:
    """The module of a file that defines `SETTINGS` and `METHOD`; the same module when it is loaded again.

    Raises ConfigError when the file is missing, fails, or lacks one of the two. Running it may load torch.
    """
    name = f"{_MODULE}{path.stem}"
    loaded = sys.modules.get(name)
    if loaded is not None and loaded.__file__ == str(path):
        return loaded
    return load_python_file(path, name, "a method", lambda module: _require_method(path, module))


def _require_method(path: Path, module: ModuleType) -> None:
    # Loaded on use: it needs torch.
    from abaw.semisup.image_method import ImageMethod

    settings, method = vars(module).get("SETTINGS"), vars(module).get("METHOD")
    if not (isinstance(settings, type) and issubclass(settings, LabelledLearning) and is_dataclass(settings)):
        raise ConfigError(f"{path}: defines no SETTINGS, a dataclass derived from LabelledLearning; {_EXAMPLE}")
    if not (isinstance(method, type) and issubclass(method, ImageMethod)):
        raise ConfigError(f"{path}: defines no METHOD, a class derived from ImageMethod; {_EXAMPLE}")
