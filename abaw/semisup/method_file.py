"""Methods in files outside the package: one Python file with the settings class and the method."""

from __future__ import annotations

from dataclasses import dataclass, is_dataclass
from pathlib import Path
from types import ModuleType

from abaw.core.errors import ConfigError
from abaw.core.python_file import load_python_file
from abaw.semisup.settings import LabelledLearning

SUFFIX = ".py"
_MODULE = "abaw_method_file_"
_EXAMPLE = "docs/semi-supervised.md has an example"


@dataclass(frozen=True, slots=True)
class MethodFile:
    """A file that was loaded. hash: SHA-256 of what it contained then."""

    path: Path
    hash: str
    module: ModuleType


def load_method_file(path: Path, loaded: MethodFile | None = None) -> MethodFile:
    """Run a file that defines `SETTINGS` and `METHOD`. loaded: the same file, returned if its content has not changed.

    Raises ConfigError when the file is missing, fails, or lacks one of the two. Running it may load torch.
    """
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.artifacts import file_hash

    content = file_hash(path) if path.is_file() else ""
    if loaded is not None and loaded.hash == content:
        return loaded
    name = f"{_MODULE}{path.stem}"
    module = load_python_file(path, name, "a method", lambda made: _require_method(path, made))
    return MethodFile(path, content, module)


def _require_method(path: Path, module: ModuleType) -> None:
    # Loaded on use: it needs torch.
    from abaw.semisup.image_method import ImageMethod

    settings, method = vars(module).get("SETTINGS"), vars(module).get("METHOD")
    if not (isinstance(settings, type) and issubclass(settings, LabelledLearning) and is_dataclass(settings)):
        raise ConfigError(f"{path}: defines no SETTINGS, a dataclass derived from LabelledLearning; {_EXAMPLE}")
    if not (isinstance(method, type) and issubclass(method, ImageMethod)):
        raise ConfigError(f"{path}: defines no METHOD, a class derived from ImageMethod; {_EXAMPLE}")
