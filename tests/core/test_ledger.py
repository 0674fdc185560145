"""The ledger knows what has been made, and never what has changed since."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from abaw.core.ledger import Ledger, Made, file_facts


@pytest.fixture
def made(tmp_path: Path) -> Made:
    for name, age_s in (("video", 60), ("store", 10), ("other", 10)):
        (tmp_path / name).write_text(name)
        _age(tmp_path / name, age_s)
    return Made([tmp_path / "video"], [tmp_path / "store", tmp_path / "other"], how=["left"])


def _age(path: Path, seconds: float) -> None:
    then = path.stat().st_ctime - seconds
    os.utime(path, (then, then))


def test_what_was_recorded_is_known_to_later_runs(made: Made, tmp_path: Path) -> None:
    first, second = (Ledger(tmp_path, {"flip": False}) for _ in range(2))
    assert not first.has(made)
    first.add(made)
    second.add(Made(made.inputs, made.outputs[:1]))
    for _ in range(2):
        later = Ledger(tmp_path, {"flip": False})
        assert later.has(made) and later.has(Made(made.inputs, made.outputs[:1]))
        later.add(made)
    assert len([name for name in os.listdir(tmp_path) if name.endswith(".finished")]) == 2, "one per process that wrote"
    assert not Ledger(tmp_path, {"flip": True}).has(made)
    assert not later.has(Made(made.inputs, made.outputs, how=["right"]))
    assert not Ledger(tmp_path / "none", {}).has(made)


CHANGES: dict[str, Callable[[Path], object]] = {
    "longer input": lambda folder: (folder / "video").write_text("another video"),
    "touched input": lambda folder: os.utime(folder / "video"),
    "missing output": lambda folder: (folder / "other").unlink(),
    "changed output": lambda folder: (folder / "store").write_text("somebody else's"),
    "lost record": lambda folder: [path.unlink() for path in folder.glob(".*.finished")],
    "damaged record": lambda folder: [path.write_bytes(b"\xff" * 20) for path in folder.glob(".*.finished")],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_has_changed_is_not_known(change: Callable[[Path], object], made: Made, tmp_path: Path) -> None:
    Ledger(tmp_path, None).add(made)
    assert Ledger(tmp_path, None).has(made)
    change(tmp_path)
    assert not Ledger(tmp_path, None).has(made)


def test_an_input_that_is_newer_than_the_outputs_is_not_recorded(made: Made, tmp_path: Path) -> None:
    _age(tmp_path / "video", 5)
    Ledger(tmp_path, None).add(made)
    assert not list(tmp_path.glob(".*.finished"))


def test_a_change_of_a_model_is_seen(tmp_path: Path) -> None:
    (tmp_path / "ckpt").mkdir()
    (tmp_path / "ckpt" / "spec.json").write_text("{}")
    before = file_facts([tmp_path / "ckpt", Path("builtin")])
    assert before == file_facts([tmp_path / "ckpt", Path("builtin")]) and ["builtin"] in before
    (tmp_path / "ckpt" / "spec.json").write_text("{ }")
    assert file_facts([tmp_path / "ckpt", Path("builtin")]) != before
