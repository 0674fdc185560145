"""Hook of the documentation site: the page `reference/commands.md`, made from what `--help` prints."""

from __future__ import annotations

import contextlib
import io
from typing import Any

from mkdocs.structure.files import File, Files

from pipelines.cli import STAGES, parse_config

PAGE = "reference/commands.md"


def on_files(files: Files, *, config: Any) -> Files:
    files.append(File.generated(config, PAGE, content=page()))
    return files


def page() -> str:
    parts = [
        "# Commands\n\nWhat `abaw COMMAND --help` prints. Settings are taken in this order: defaults, then "
        "`--config FILE`, then flags. Exit status: 0 done, 1 a fault in the data or the run, 2 wrong usage.\n"
    ]
    for name, stage in STAGES.items():
        parts.append(f"## abaw {name}\n\n{stage.help[0].upper()}{stage.help[1:]}.\n\n```text\n{help_text(name)}\n```\n")
    return "\n".join(parts)


def help_text(name: str) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        parse_config(name, ["--help"])
    return printed.getvalue().replace(" \b", "").strip()  # jsonargparse joins `[=flags]` to its flag by a backspace
