"""The readme for package indexes, which cannot resolve paths of the repository; all else is in pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from setuptools import setup

_PICTURE = re.compile(r"^!\[(?P<text>[^]]*)\]\((?P<path>[^):]+)\)\n(?:\n\*[^*]+\*\n)?", re.MULTILINE)
"""A picture of the repository, and its caption in italics."""
_LINK = re.compile(r"(?<!!)\[(?P<text>[^]]+)\]\((?P<path>[^):#]+)(?P<anchor>#[^)]*)?\)")
"""A link to a file of the repository: addresses have a colon."""


def index_readme(readme: str, repository: str | None) -> str:
    """The readme with pictures and links that point into the repository; without one, no pictures and plain text."""
    if repository is None:
        plain = _LINK.sub(lambda link: link["text"], _PICTURE.sub("", readme))
        return re.sub(r"\n{3,}", "\n\n", plain)
    base = repository.rstrip("/")
    pictures = re.sub(r"!\[([^]]*)\]\(([^):]+)\)", rf"![\1]({base}/raw/HEAD/\2)", readme)
    return _LINK.sub(rf"[\g<text>]({base}/blob/HEAD/\g<path>\g<anchor>)", pictures)


if __name__ == "__main__":
    folder = Path(__file__).parent
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    setup(
        long_description=index_readme(
            (folder / "README.md").read_text(encoding="utf-8"), project["urls"].get("Repository")
        ),
        long_description_content_type="text/markdown",
    )
