"""The methods by name. A method is a file in `abaw/semisup/methods` with a `METHOD`; nothing else lists it."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any

from abaw.semisup import methods
from abaw.semisup.image_method import ImageMethod


@cache
def find_methods() -> dict[str, type[ImageMethod[Any]]]:
    """Name -> class, sorted by name. The name is the file's."""
    names = sorted(module.name for module in pkgutil.iter_modules(methods.__path__))
    return {name: importlib.import_module(f"{methods.__name__}.{name}").METHOD for name in names}
