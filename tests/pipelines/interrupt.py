"""An interrupt of a command alone, while its workers are busy."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from abaw.core.artifacts import process_lives

LIMIT_S = 5


def check_interrupt(arguments: Sequence[str], busy: Callable[[], bool], log: Path) -> None:
    """Interrupt the command once `busy` holds: it and all its workers end in time, without a traceback."""
    with log.open("w") as file:
        command = [sys.executable, "-m", "pipelines.cli", *arguments]
        # Tests that run in the background of a shell ignore interrupts, which a child inherits.
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file, preexec_fn=_take_interrupts)
    try:
        while not busy():
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(workers) >= 2
        interrupted = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT_S) == 130
    finally:
        process.kill()
    while any(process_lives(int(worker)) for worker in workers):
        assert time.monotonic() - interrupted < LIMIT_S
        time.sleep(0.02)
    assert time.monotonic() - interrupted < LIMIT_S
    assert "Traceback" not in log.read_text()


def _take_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
