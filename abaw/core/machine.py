"""What this process may use of its machine, as containers and batch systems limit it."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_PROCESS = Path("/proc/self/cgroup")
_MEMORY = Path("/proc/meminfo")


def usable_cores() -> int:
    """Cores that this process may use: those of its affinity, or as much as the quota of its control group allows."""
    quotas = [quota for folder in _folders("cpu") if (quota := _cores(folder)) is not None]
    return max(1, math.ceil(min([len(os.sched_getaffinity(0)), *quotas])))


def usable_memory() -> int | None:
    """Bytes that are free on this machine, or the limit of the control group if that is lower; None when unknown."""
    limits = [limit for folder in _folders("memory") if (limit := _limit(folder)) is not None]
    found = re.search(r"^MemAvailable: +(\d+) kB", _text(_MEMORY), re.MULTILINE)
    if found:
        limits.append(int(found[1]) * 1024)
    return min(limits, default=None)


def _folders(controller: str) -> Iterator[Path]:
    """The folders of the control groups that this process is in, outer ones included.

    One hierarchy in version 2; in version 1 one per controller. Inside a container, the path that the kernel names may
    be that of the host: then only the root is there, which is the container's own group.
    """
    for line in _text(_PROCESS).splitlines():
        _, names, path = line.split(":", 2)
        if names and controller not in names.split(","):
            continue
        root = _GROUPS / names if names else _GROUPS
        inner = root / path.lstrip("/")
        yield from (folder for folder in (inner, *inner.parents) if folder.is_relative_to(root))


def _cores(group: Path) -> float | None:
    """The quota of a control group in cores; None when it has none."""
    words = _text(group / "cpu.max").split() or [
        *_text(group / "cpu.cfs_quota_us").split(),
        *_text(group / "cpu.cfs_period_us").split(),
    ]
    match words:
        case [quota, period] if quota.isdigit() and int(quota) and period.isdigit() and int(period):
            return int(quota) / int(period)
    return None


def _limit(group: Path) -> int | None:
    text = _text(group / "memory.max").strip() or _text(group / "memory.limit_in_bytes").strip()
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
