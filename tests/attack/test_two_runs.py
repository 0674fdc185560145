"""Two runs with the same --out at the same time."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from abaw.core.run_lock import LOCK
from tests.attack.commands import Command, files
from tests.attack.conftest import Reference
from tests.attack.processes import Server

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["train-static", "train-temporal", "ablate", "bench"])
def test_the_second_is_refused_and_the_first_is_left_whole(
    server: Server,
    attacked: Mapping[str, Command],
    reference: Callable[[str], Reference],
    tmp_path: Path,
    name: str,
) -> None:
    out, usual = tmp_path / "out", reference(name)
    words = attacked[name].to(out)
    first = server.start(words)
    while not (out / LOCK).exists():
        assert first.lives(), first.said
        time.sleep(0.001)
    first.interrupt(signal.SIGSTOP)  # so that it is not done before the second one has begun
    second = server.start(words)
    assert second.status == 1 and "Traceback" not in second.said, second.said
    assert f"process {first.pid} on" in second.said and "is writing this run" in second.said
    third = server.start(words)
    time.sleep(usual.seconds / 4)
    third.interrupt(signal.SIGINT)
    assert third.status in (1, 130) and "Traceback" not in third.said, third.said
    first.interrupt(signal.SIGCONT)
    assert first.status == 0, first.said
    assert files(out) == usual.files
