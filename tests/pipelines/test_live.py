"""`abaw live` as a command: a file, standard input, Ctrl-C, wrong usage."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from abaw.live.analyser import Analyser, LiveFrame
from abaw.protocol.classes import EXPRESSION_CLASSES
from pipelines.cli import main
from tests.video.clips import portraits, write_clip

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("live") / "clip.mp4", portraits(20, 256))


def test_every_frame_of_a_file_as_json(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["live", "--source", str(clip), "--json", "--every_frame", "--detector", "builtin"]) == 0
    said = capsys.readouterr()
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert [row["frame"] for row in rows] == list(range(1, 21))
    assert all(row["dropped"] == 0 and row["latency_ms"] >= 0 for row in rows)
    (person,) = rows[-1]["people"]
    assert person["label"] == "Happiness" and set(person["probabilities"]) == set(EXPRESSION_CLASSES)
    assert re.search(r"20 pictures, 0 dropped, [\d.]+ per second; latency \d+ ms, 95 % within \d+ ms", said.err)


def rows_of(path: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """The results of every frame, without how long they took."""
    assert main(["live", "--source", str(path), "--json", "--every_frame", "--detector", "builtin"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [{key: value for key, value in row.items() if key != "latency_ms"} for row in rows]


def test_the_results_of_a_file_do_not_depend_on_the_load(
    clip: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(clip, capsys)
    assert [row["time_s"] for row in rows] == [round(frame / 25, 4) for frame in range(20)]
    push = Analyser.push

    def slowly(analyser: Analyser, image: NDArray[np.uint8], time_s: float) -> LiveFrame:
        time.sleep(0.02)
        return push(analyser, image, time_s)

    monkeypatch.setattr(Analyser, "push", slowly)
    assert rows_of(clip, capsys) == rows


def test_the_time_of_joined_recordings_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    joined = tmp_path / "joined.ts"
    joined.write_bytes(write_clip(tmp_path / "one.ts", portraits(20, 256)).read_bytes() * 2)
    rows = rows_of(joined, capsys)
    assert [row["time_s"] for row in rows] == [round(frame / 25, 4) for frame in range(40)]


def test_in_real_time_a_line_per_change(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["live", "--source", str(clip), "--detector", "builtin"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r" +\d\.\d s  person 1  Happiness \d+%", lines[0])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "no source given"),
        (["--source", "nothing.mp4"], "nothing.mp4: no such file"),
        (["--source", "71"], "camera 71: cannot be opened"),
        (["--source", "0", "--smoothing", "box:3"], "exponential:SECONDS"),
        (["--page", "--port", "70000"], "expected a number from 0 to 65535"),
        (["--source", "0", "--temporal", "builtin"], "model.causal"),
    ],
)
def test_wrong_usage(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["live", *words, "--detector", "builtin"]) in (1, 2)
    assert expected in capsys.readouterr().err


@pytest.mark.slow
def test_standard_input_and_ctrl_c(clip: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "pipelines.cli", "live", "--detector", "builtin"]
    piped = subprocess.run(
        [*words, "--source", "-", "--json", "--every_frame"],
        input=clip.read_bytes(),
        capture_output=True,
        cwd=ROOT,
        timeout=120,
    )
    assert piped.returncode == 0 and len(piped.stdout.splitlines()) == 20, piped.stderr
    page = subprocess.Popen(
        [*words, "--page", "--out", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert page.stdout is not None
    assert re.fullmatch(r"page: http://127\.0\.0\.1:\d+/\?token=\S+\n", page.stdout.readline())
    page.send_signal(signal.SIGINT)
    _, said = page.communicate(timeout=30)
    assert page.returncode == 0 and "Traceback" not in said
