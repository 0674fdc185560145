"""The server, the inputs, and the commands with their results when nobody attacks."""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.attack.commands import Command, commands, files, make_inputs
from tests.attack.processes import Server

ROUNDS = int(os.environ.get("ABAW_ATTACK_ROUNDS", "1"))
"""How often each attack with random moments is repeated, with another seed each time."""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = Server(tmp_path_factory.mktemp("logs"))
    yield found
    found.close()


@pytest.fixture(scope="session")
def root_of_inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("inputs")
    make_inputs(root)
    return root


@pytest.fixture(scope="session")
def attacked(root_of_inputs: Path) -> Mapping[str, Command]:
    """The commands, by name."""
    return commands(root_of_inputs)


@dataclass(frozen=True)
class Reference:
    """What a command writes when nobody attacks it. pages, inodes: of the disk; seconds: how long it takes."""

    out: Path
    files: dict[str, Any]
    pages: int
    inodes: int
    seconds: float


@pytest.fixture(scope="session")
def reference(
    server: Server, attacked: Mapping[str, Command], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Reference]:
    """By the name of the command."""
    root = tmp_path_factory.mktemp("references")

    @cache
    def made(name: str) -> Reference:
        out = root / name / "out"
        start = time.monotonic()
        status, said = server.run(attacked[name].to(out))
        seconds = time.monotonic() - start
        assert status == 0, said
        paths = [out, *out.rglob("*")]
        pages = sum(-(-path.stat().st_size // mmap.PAGESIZE) for path in paths if path.is_file())
        return Reference(out, files(out), pages, len(paths), seconds)

    return made
