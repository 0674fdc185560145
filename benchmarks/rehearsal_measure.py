"""What a command costs: wall time, processor time, memory of all its processes, disk space."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_GIGA = 2**30


@dataclass(frozen=True)
class Cost:
    """seconds: from start to end; processor_seconds: of the command and its workers.

    memory: GB, the peak of what the system cannot take back (anonymous and shared pages of all processes);
    with_files: GB, the peak with mapped pages of files, each counted once, which the system takes back when memory is
    short. disk: GB of what the command wrote.
    """

    seconds: float
    processor_seconds: float
    memory: float
    with_files: float
    disk: float


def run_command(words: Sequence[str], written: Path, log: Path, allowed: Sequence[int] = (0,)) -> Cost:
    """Run `abaw WORDS`. written: file or folder that it writes; log: its output.

    Raises SystemExit when its exit status is none of `allowed`.
    """
    begun = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.cli", *words], stdout=output, stderr=subprocess.STDOUT
        )
        watch = _Watch(process.pid)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        finally:
            watch.end()
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - begun
    if process.returncode not in allowed:
        lines = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
        raise SystemExit(f"`abaw {' '.join(words)}` ended with status {process.returncode}:\n{lines}")
    # What the kernel knows of an ended child includes its own children that it waited for.
    return Cost(seconds, usage.ru_utime + usage.ru_stime, watch.memory, watch.with_files, disk_gb(written))


def disk_gb(place: Path) -> float:
    """GB that a file or folder takes; a file with several names counts once."""
    seen: dict[tuple[int, int], int] = {}
    for folder, _, names in os.walk(place):
        for name in (folder, *(os.path.join(folder, each) for each in names)):
            _add(seen, name)
    if place.is_file():
        _add(seen, str(place))
    return sum(seen.values()) / _GIGA


def _add(seen: dict[tuple[int, int], int], name: str) -> None:
    status = os.lstat(name)
    seen[status.st_dev, status.st_ino] = status.st_blocks * 512


class _Watch(threading.Thread):
    """Samples the memory of a process and its descendants (Linux) until `end`."""

    def __init__(self, pid: int, interval: float = 0.2) -> None:
        super().__init__(daemon=True)
        self._pid, self._interval, self._over = pid, interval, threading.Event()
        self.memory = self.with_files = 0.0
        self.start()

    def run(self) -> None:
        # A command that ends within the first interval is seen too.
        over = False
        while not over:
            over = self._over.wait(self._interval if self.memory else self._interval / 10)
            sizes = [_sizes(pid) for pid in _tree(self._pid)]
            self.memory = max(self.memory, sum(own for own, _ in sizes))
            self.with_files = max(self.with_files, sum(whole for _, whole in sizes))

    def end(self) -> None:
        self._over.set()
        self.join()


def _tree(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        try:
            threads = os.listdir(f"/proc/{parent}/task")
            for thread in threads:
                found += map(int, Path(f"/proc/{parent}/task/{thread}/children").read_text().split())
        except OSError:
            continue
    return found


def _sizes(pid: int) -> tuple[float, float]:
    """GB of anonymous and shared pages, and of all pages; a page of several processes counts proportionally."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended
        return 0.0, 0.0
    kilobytes = {parts[0]: int(parts[1]) for parts in map(str.split, lines[1:]) if len(parts) == 3}
    whole = kilobytes.get("Pss:", 0)
    return (whole - kilobytes.get("Pss_File:", 0)) * 1024 / _GIGA, whole * 1024 / _GIGA
