"""Methods in files outside the package: one Python file with the settings class and the method."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import is_dataclass
from pathlib import Path
from types import ModuleType

from abaw.core.errors import ConfigError
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
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; expected a Python file that defines a method")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickle look the module up by its name.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        _require_method(path, module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, ConfigError) or not isinstance(error, Exception):
            raise
        raise ConfigError(f"{path}: cannot be loaded: {type(error).__name__}: {error}") from error
    return module


def _require_method(path: Path, module: ModuleType) -> None:
    # Loaded on use: it needs torch.
    from abaw.semisup.image_method import ImageMethod

    settings, method = vars(module).get("SETTINGS"), vars(module).get("METHOD")
    if not (isinstance(settings, type) and issubclass(settings, LabelledLearning) and is_dataclass(settings)):
        raise ConfigError(f"{path}: defines no SETTINGS, a dataclass derived from LabelledLearning; {_EXAMPLE}")
    if not (isinstance(method, type) and issubclass(method, ImageMethod)):
        raise ConfigError(f"{path}: defines no METHOD, a class derived from ImageMethod; {_EXAMPLE}")
