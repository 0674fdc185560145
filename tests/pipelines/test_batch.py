"""A batch goes on past a bad item and tells at the end which failed and why."""

from __future__ import annotations

import pytest

from abaw.core.errors import DataError
from pipelines.batch import run_batch


def test_failures_are_listed_and_the_rest_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    done: list[str] = []

    def work(item: str) -> str:
        if item == "bad":
            raise DataError("no video stream")
        done.append(item)
        return "fine"

    assert run_batch(["a", "bad", "c"], lambda item: item, work) == 1
    assert done == ["a", "c"]
    assert capsys.readouterr().err.splitlines()[-2:] == ["2 done, 1 failed:", "  bad: no video stream"]


def test_all_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_batch(["a"], str, lambda item: "fine") == 0
    assert capsys.readouterr().err == "a: fine\n"


def test_a_fault_of_the_program_is_not_swallowed() -> None:
    def work(item: str) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_batch(["a"], str, work)
