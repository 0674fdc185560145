"""Code of the documentation, as files that tests use."""

from __future__ import annotations

import re
from pathlib import Path


def write_python(document: Path, section: str, path: Path) -> Path:
    """The first Python block of a section of a page, written to a file in a new folder."""
    text = document.read_text(encoding="utf-8").split(section)[1]
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert code is not None
    path.parent.mkdir()
    path.write_text(code[1], encoding="utf-8")
    return path
