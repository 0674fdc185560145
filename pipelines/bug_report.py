"""What is said of a bug: one line, with the traceback in a file."""

from __future__ import annotations

import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from abaw import __version__
from abaw.core.errors import UnexpectedError
from abaw.core.text import in_line
from abaw.engine.attempt import unexpected
from pipelines.console import show

_SHOWN = 200


_NO_MEMORY = ("can't allocate memory", "out of memory", "Insufficient memory")
"""What torch, CUDA and OpenCV say when memory is short, in errors of other types."""


def report_unexpected(words: Sequence[str], error: Exception) -> None:
    """Say in one line what to do: about memory that is short, or, for a bug, with which file to report it."""
    if isinstance(error, MemoryError) or any(text in str(error) for text in _NO_MEMORY):
        remedy = "close other programs, use fewer --workers or smaller batches, or a machine with more memory"
        show(f"abaw {words[0]}: error: not enough memory; {remedy}", sys.stderr)
    else:
        _report_bug(words, error)


def _report_bug(words: Sequence[str], error: Exception) -> None:
    """Write the command line and the traceback to a new file of the temp folder, and say so."""
    fault = error if isinstance(error, UnexpectedError) else unexpected(error)
    reason = in_line(str(fault)[:_SHOWN])
    text = "\n".join(
        [
            f"abaw {__version__}, Python {platform.python_version()}, {platform.platform()}",
            f"command: {list(words)}",
            fault.traceback,
        ]
    )
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", errors="backslashreplace", prefix="abaw-bug-", suffix=".txt", delete=False
        ) as file:
            file.write(text)
        place = f"please report it with the file {Path(file.name)}"
    except OSError:
        place = "please report it with what ABAW_TRACEBACK=1 in the environment shows"
    show(f"abaw {words[0]}: error: unexpected {reason}; this is a bug of abaw: {place}", sys.stderr)
