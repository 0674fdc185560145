"""A disk that becomes full, or has no inodes left, while a command writes."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator, Mapping
from mmap import PAGESIZE
from pathlib import Path

import pytest

from abaw.core.artifacts import is_temporary
from tests.attack.commands import Command, commands, files
from tests.attack.conftest import ROUNDS, Reference
from tests.attack.processes import Server

pytestmark = pytest.mark.slow
NAMES = tuple(commands(Path()))


class Disk:
    """A small file system in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        made = self._mount("rw")
        if made.returncode:
            pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")

    def limit(self, pages: int = 1 << 16, inodes: int = 1 << 16) -> None:
        done = self._mount(f"remount,size={pages * PAGESIZE},nr_inodes={inodes}")
        assert done.returncode == 0, done.stderr

    def _mount(self, options: str) -> subprocess.CompletedProcess[str]:
        words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.path)]
        return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    found = Disk(tmp_path / "disk")
    yield found
    subprocess.run(["umount", "--lazy", str(found.path)], check=True)


def require_refused(status: int, said: str, disk: Path) -> None:
    """One line that names the path and the reason, and nothing half-written."""
    assert status == 1, said
    assert "Traceback" not in said and "terminate called" not in said, said
    lines = [line for line in said.splitlines() if "the disk is full" in line]
    assert lines and all(str(disk) in line for line in lines), said
    assert not [path for path in disk.rglob("*") if is_temporary(path.name)]


@pytest.mark.parametrize("attempt", range(ROUNDS))
@pytest.mark.parametrize("kind", ["bytes", "inodes"])
@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_is_reported_and_the_command_completes_with_more_space(
    server: Server,
    attacked: Mapping[str, Command],
    reference: Callable[[str], Reference],
    disk: Disk,
    name: str,
    kind: str,
    attempt: int,
) -> None:
    usual, share = reference(name), random.Random(f"disk {name} {kind} {attempt}").uniform(0, 0.8)
    words = attacked[name].to(disk.path / "out")
    if kind == "bytes":
        disk.limit(pages=max(1, int(share * usual.pages)))
    else:
        disk.limit(inodes=1 + int(share * usual.inodes))
    require_refused(*server.run(words), disk.path)
    disk.limit()
    status, said = server.run(words)
    assert status == 0 and "Traceback" not in said, said
    found = files(disk.path / "out")
    found.pop("errors.log", None)
    assert found == usual.files


@pytest.mark.parametrize("pages", [1, 40])
def test_the_demo_on_a_full_disk(server: Server, disk: Disk, pages: int) -> None:
    disk.limit(pages=pages)
    require_refused(*server.run(["demo", "--workers", "1", "--out", str(disk.path / "demo")]), disk.path)
