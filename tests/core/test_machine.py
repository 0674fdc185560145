"""What a process may use: its affinity, and the quotas of control groups of both versions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from abaw.core import machine
from abaw.core.machine import usable_cores, usable_memory

GB = 2**30


@pytest.fixture(autouse=True)
def roomy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """16 cores, 64 GB, no control group."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)))
    for name in ("_GROUPS", "_PROCESS", "_MEMORY"):
        monkeypatch.setattr(machine, name, tmp_path / name)
    (tmp_path / "_MEMORY").write_text(f"MemTotal: 99 kB\nMemAvailable:   {64 * GB // 1024} kB\nBuffers: 1 kB\n")


def limit(folder: Path, groups: str, files: Mapping[str, str]) -> None:
    (folder / "_PROCESS").write_text(groups)
    for name, text in files.items():
        (folder / "_GROUPS" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "_GROUPS" / name).write_text(text)


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("", {}, 16),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 16),
        ("0::/\n", {"cpu.max": "400000 100000\n"}, 4),
        ("0::/\n", {"cpu.max": "250000 100000\n"}, 3),
        ("0::/\n", {"cpu.max": "20000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "9900000 100000\n"}, 16),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "200000 100000\n"}, 2),
        ("0::/a/b\n", {"a/b/cpu.max": "300000 100000\n", "a/cpu.max": "800000 100000\n"}, 3),
        ("0::/of/the/host\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/../outside\n", {"cpu.max": "200000 100000\n"}, 2),
        (
            "4:cpu,cpuacct:/job\n3:memory:/job\n",
            {"cpu,cpuacct/job/cpu.cfs_quota_us": "500000\n", "cpu,cpuacct/job/cpu.cfs_period_us": "100000\n"},
            5,
        ),
        ("1:cpu:/\n0::/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 16),
        ("2:cpuset:/\n", {"cpuset/cpu.max": "100000 100000\n"}, 16),
        ("0::/\n", {"cpu.max": "something else\n"}, 16),
    ],
)
def test_cores_are_those_that_the_quota_allows(tmp_path: Path, groups: str, files: dict[str, str], cores: int) -> None:
    limit(tmp_path, groups, files)
    assert usable_cores() == cores


def test_cores_are_those_of_the_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 7})
    assert usable_cores() == 2


@pytest.mark.parametrize(
    ("groups", "files", "gigabytes"),
    [
        ("0::/\n", {"memory.max": "max\n"}, 64),
        ("0::/a\n", {"a/memory.max": f"{8 * GB}\n"}, 8),
        ("0::/a\n", {"a/memory.max": f"{99 * GB}\n"}, 64),
        ("4:memory:/a\n", {"memory/a/memory.limit_in_bytes": f"{2 * GB}\n"}, 2),
    ],
)
def test_memory_is_what_is_free_within_the_limit(
    tmp_path: Path, groups: str, files: dict[str, str], gigabytes: int
) -> None:
    limit(tmp_path, groups, files)
    assert usable_memory() == gigabytes * GB


def test_nothing_known_of_the_memory(tmp_path: Path) -> None:
    (tmp_path / "_MEMORY").unlink()
    assert usable_memory() is None
