"""Kill -9 of a command and its workers at random moments, and the signals that ask it to end."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.attack.commands import NINE, Command, files
from tests.attack.conftest import ROUNDS, Reference
from tests.attack.processes import Run, Server

KILLS = 2
"""One after the other in each round, so that a continued run is hit as well."""
pytestmark = pytest.mark.slow


def start_and_let_run(server: Server, words: list[str], seconds: float) -> Run:
    """A command that has run for so long, or has ended."""
    run = server.start(words)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and run.lives():
        time.sleep(0.001)
    return run


def start_and_end(
    server: Server, words: list[str], out: Path, moment: Callable[[], float], end: Callable[[Run], None]
) -> Run:
    """A command that `end` ended before it was done. When it was done first, it starts again from nothing."""
    while True:
        run = start_and_let_run(server, words, moment())
        end(run)
        if run.status != 0:
            return run
        shutil.rmtree(out)


@pytest.mark.parametrize("attempt", range(ROUNDS))
@pytest.mark.parametrize("name", NINE)
def test_killed_and_continued_it_writes_the_same(
    server: Server,
    attacked: Mapping[str, Command],
    reference: Callable[[str], Reference],
    tmp_path: Path,
    name: str,
    attempt: int,
) -> None:
    generator, out = random.Random(f"kill {name} {attempt}"), tmp_path / "out"
    words, usual = attacked[name].to(out), reference(name)
    for _ in range(KILLS):
        run = start_and_end(server, words, out, lambda: generator.uniform(0, usual.seconds), Run.kill)
        assert run.status == -signal.SIGKILL, run.said
        assert "Traceback" not in run.said
    status, said = server.run(words)
    assert status == 0 and "Traceback" not in said, said
    assert files(out) == usual.files


@pytest.mark.parametrize("attempt", range(ROUNDS))
@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
@pytest.mark.parametrize("name", NINE)
def test_asked_to_end_it_ends_with_its_workers_and_can_be_continued(
    server: Server,
    attacked: Mapping[str, Command],
    reference: Callable[[str], Reference],
    tmp_path: Path,
    name: str,
    number: signal.Signals,
    expected: int,
    attempt: int,
) -> None:
    generator, out = random.Random(f"{number} {name} {attempt}"), tmp_path / "out"
    words, usual = attacked[name].to(out), reference(name)
    limit = max(5.0, usual.seconds)  # longer on a machine so busy that the whole command takes longer

    def end(run: Run) -> None:
        run.interrupt(number)
        begun = time.monotonic()
        while run.processes():
            assert time.monotonic() - begun < limit, f"still running after {limit:.1f} s: {run.processes()}"
            time.sleep(0.02)

    run = start_and_end(server, words, out, lambda: generator.uniform(0.1, 0.9) * usual.seconds, end)
    assert run.status == expected and "Traceback" not in run.said, run.said
    status, said = server.run(words)
    assert status == 0 and "Traceback" not in said, said
    assert files(out) == usual.files
