"""Python files of users that add a part: a method, an extractor."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from abaw.core.errors import ConfigError


class _SourceLoader(SourceFileLoader):
    """Never takes a compiled file, which counts as current when size and second of the last change are the same."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def load_python_file(path: Path, name: str, what: str, require: Callable[[ModuleType], None]) -> ModuleType:
    """Run a file as the module `name`.

    what: what it should define, such as "a method"; require: raises ConfigError for a module that does not define it.
    Raises ConfigError when the file is missing or fails.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; expected a Python file that defines {what}")
    spec = importlib.util.spec_from_file_location(name, path, loader=_SourceLoader(name, str(path)))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickle look the module up by its name.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        require(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, ConfigError) or not isinstance(error, Exception):
            raise
        raise ConfigError(f"{path}: cannot be loaded: {type(error).__name__}: {error}") from error
    return module
