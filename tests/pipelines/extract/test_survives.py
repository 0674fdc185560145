"""`abaw extract` under kill -9 at random moments, and two of it at once on one folder."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from abaw.stores.faces import open_faces
from pipelines.cli import main
from tests.pipelines.interrupt import check_interrupt
from tests.video.clips import portraits, write_clip
from tests.video.damage import flip, packet_places

CLIPS = 10


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten clips, one of them damaged in its middle."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(CLIPS):
        write_clip(folder / f"clip {number}.mp4", portraits(8 + number, side=128))
    damaged = folder / f"clip {CLIPS - 1}.mp4"
    flip(damaged, damaged, [packet_places(damaged)[9]], at=0, length=4)
    return folder


def command(videos: Path, out: Path, *more: str) -> list[str]:
    return ["extract", str(videos), "--out", str(out), "--detector", "builtin", *more]


def files(folder: Path) -> dict[str, bytes]:
    """Every file of the folder, hidden ones too."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def unbroken(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("unbroken")
    assert main(command(videos, out)) == 0
    assert open_faces(out / f"clip {CLIPS - 1}.arrow").faults, "the damaged clip has a frame without a picture"
    return files(out)


def start(arguments: list[str], log: IO[str]) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "pipelines.cli", *arguments], stderr=log, text=True)


def kill_at_a_random_moment(arguments: list[str], out: Path, log_path: Path, generator: random.Random) -> bool:
    """Let the command finish none, one or two more stores, and kill it somewhat later. False when it ended before."""
    before, more = len(list(out.glob("*.arrow"))), generator.randrange(3)
    with log_path.open("w+") as log:
        process = start(arguments, log)
        while "warning" not in log_path.read_text() or len(list(out.glob("*.arrow"))) < before + more:
            if process.poll() is not None:
                break
            time.sleep(0.002)
        time.sleep(generator.uniform(0, 0.25))
        process.send_signal(signal.SIGKILL)
        return process.wait() == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "wanted"), [(1, 20), (2, 8)])
def test_kills_at_random_moments(
    videos: Path, tmp_path: Path, unbroken: dict[str, bytes], workers: int, wanted: int
) -> None:
    generator = random.Random(workers)
    out = tmp_path / "faces"
    out.mkdir()
    arguments = command(videos, out, "--workers", str(workers))
    kills = 0
    while kills < wanted:
        kills += kill_at_a_random_moment(arguments, out, tmp_path / "log", generator)
        done = sorted(out.glob("*.arrow"))
        assert {path.name: path.read_bytes() for path in done} == {path.name: unbroken[path.name] for path in done}
        if len(done) > CLIPS - 3:  # so that the next run has something to be killed at
            for path in generator.sample(done, 3):
                path.unlink()
    assert main(arguments) == 0
    assert files(out) == unbroken, "the same stores, and nothing else"


def test_two_processes_on_one_folder(videos: Path, tmp_path: Path, unbroken: dict[str, bytes]) -> None:
    out = tmp_path / "faces"
    with (tmp_path / "first").open("w") as first, (tmp_path / "second").open("w") as second:
        processes = [start(command(videos, out), first), start(command(videos, out), second)]
        assert [process.wait() for process in processes] == [0, 0]
    assert files(out) == unbroken


def test_one_of_two_processes_is_killed(videos: Path, tmp_path: Path, unbroken: dict[str, bytes]) -> None:
    out = tmp_path / "faces"
    with (tmp_path / "first").open("w") as first, (tmp_path / "second").open("w") as second:
        killed, other = start(command(videos, out), first), start(command(videos, out), second)
        while not list(out.glob("*.arrow")):
            assert killed.poll() is None
            time.sleep(0.01)
        killed.kill()
        assert [killed.wait(), other.wait()] == [-signal.SIGKILL, 0]
    assert {name: content for name, content in files(out).items() if name in unbroken} == unbroken


def test_what_a_killed_process_left_goes_though_nothing_is_left_to_do(
    videos: Path, tmp_path: Path, unbroken: dict[str, bytes]
) -> None:
    """The store was finished by another process, so that nothing is written under that name again."""
    out = tmp_path / "faces"
    assert main(command(videos, out)) == 0
    code = (
        "import os, signal, sys; from pathlib import Path; from abaw.core.artifacts import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(out / "clip 0.arrow")], check=False)
    assert set(files(out)) > set(unbroken)
    assert main(command(videos, out)) == 0
    assert files(out) == unbroken


@pytest.mark.slow
def test_an_interrupt_of_the_command_alone_ends_its_workers(tmp_path: Path) -> None:
    """In the middle of videos that take much longer than the command may take to end."""
    (tmp_path / "videos").mkdir()
    for name in "ab":
        write_clip(tmp_path / "videos" / f"{name}.mp4", portraits(2000, side=256))
    arguments = command(tmp_path / "videos", tmp_path / "faces", "--workers", "2")
    log = tmp_path / "log"
    check_interrupt(arguments, lambda: " of 2000 frames" in log.read_text(), log)
