"""A command goes on past a bad item and lists at the end which failed and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from abaw.core.errors import DataError
from abaw.core.progress import Progress
from pipelines.engine_settings import EngineSettings, engine_for
from pipelines.items import Plain, run_items


@dataclass(frozen=True)
class Check:
    """Fails on some items; of two workers, the first failure is ready last."""

    def set_up(self, threads: int | None) -> Callable[[str, Progress], str]:
        return self._check

    def _check(self, item: str, progress: Progress) -> str:
        if item == "bad":
            raise DataError("no video stream")
        if item == "bug":
            raise ZeroDivisionError("division by zero")
        return "fine"


@pytest.mark.parametrize("workers", [1, 2])
def test_failures_are_listed_in_order_and_the_rest_is_done(
    workers: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = ["a", "bug", "bad", "c"]
    engine = engine_for(EngineSettings(workers=workers), 4)
    assert run_items(items, lambda item: f"<{item}>", Check(), tmp_path / "out", engine) == 1
    log = tmp_path / "out" / "errors.log"
    bug = f"ZeroDivisionError: division by zero (unexpected; see {log})"
    said = capsys.readouterr().err.splitlines()
    assert said[-3:] == ["2 done, 2 failed:", f"  <bug>: {bug}", "  <bad>: no video stream"]
    assert sorted(said[:-3]) == sorted(
        ["<a>: fine", f"<bug>: failed: {bug}", "<bad>: failed: no video stream", "<c>: fine"]
    )
    text = log.read_text()
    assert text.splitlines()[0].endswith(" <bug>") and text.count("Traceback") == 1 and "test_items.py" in text


def test_all_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_items(["a"], str, Plain(lambda item: "fine"), tmp_path) == 0
    assert capsys.readouterr().err == "a: fine\n" and not list(tmp_path.iterdir())


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert run_items(["bug", "a"], str, Check(), tmp_path / "file") == 1
    said = capsys.readouterr().err
    assert "division by zero (unexpected, and its traceback could not be saved: " in said and "a: fine\n" in said


def test_an_interrupt_ends_the_command(tmp_path: Path) -> None:
    def interrupt(item: str) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_items(["a"], str, Plain(interrupt), tmp_path)
