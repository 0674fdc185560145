"""Runs of commands as the children of a server, with what they print and how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from abaw.core.artifacts import process_lives

_SECONDS = 120.0
"""No command of the attack takes so long, on a busy machine either."""


@dataclass
class Run:
    """A started command: a session of its own, whose number is that of its first process."""

    server: Server
    pid: int
    log: Path
    output: Path

    def lives(self) -> bool:
        return process_lives(self.pid)

    def kill(self) -> None:
        """Kill -9 the command and all its workers."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def interrupt(self, number: signal.Signals) -> None:
        """Send a signal to the command alone."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    @cached_property
    def status(self) -> int:
        """The exit status, waited for; minus the number of the signal that ended it."""
        deadline = time.monotonic() + _SECONDS
        while self.lives():
            if time.monotonic() > deadline:
                self.kill()
                raise TimeoutError(f"still running after {_SECONDS:.0f} s:\n{self.said}")
            time.sleep(0.005)
        return self.server.ask(wait=self.pid)

    def processes(self) -> list[int]:
        """All running processes of the command."""
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self._is_member(pid)]

    def _is_member(self, pid: int) -> bool:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            return False
        return int(fields[3]) == self.pid and fields[0] not in ("Z", "X")

    @property
    def said(self) -> str:
        """What it printed on standard error."""
        return self.log.read_text(encoding="utf-8", errors="replace")


class Server:
    """The process of server.py."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._runs: list[Run] = []
        root = Path(__file__).parents[2]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.attack.server"],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._read()

    def ask(self, **request: Any) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> int:
        assert self._process.stdout is not None
        answer: int = json.loads(self._process.stdout.readline())
        return answer

    def start(self, words: Sequence[str | Path], without_privileges: bool = False) -> Run:
        number = len(self._runs) + 1
        log, output = self._logs / f"{number}.err", self._logs / f"{number}.out"
        pid = self.ask(
            words=[os.fsencode(word).hex() for word in words],
            stdout=str(output),
            stderr=str(log),
            without_privileges=without_privileges,
        )
        for file in (log, output):  # made by the child
            while not file.exists():
                time.sleep(0.001)
        self._runs.append(Run(self, pid, log, output))
        return self._runs[-1]

    def run(self, words: Sequence[str | Path], without_privileges: bool = False) -> tuple[int, str]:
        """The exit status of a command, and what it printed on standard error."""
        run = self.start(words, without_privileges)
        return run.status, run.said

    def close(self) -> None:
        """End the server, and what a failed test left."""
        for run in self._runs:
            if "status" not in vars(run):
                run.kill()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
