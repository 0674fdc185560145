from __future__ import annotations

from pathlib import Path

import pytest

from abaw.core.artifacts import StorageError
from abaw.core.errors import ConfigError, DataError
from abaw.core.run_folder import RunFolder


def test_a_run_is_resumed_with_the_same_config(tmp_path: Path) -> None:
    first = RunFolder(tmp_path / "run", {"lr": 0.1})
    first.log(1, {"loss": 2.0})
    second = RunFolder(tmp_path / "run", {"lr": 0.1})
    second.log(2, {"loss": 1.0})
    assert second.metrics() == [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]


def test_a_run_with_other_settings_is_refused_and_the_keys_named(tmp_path: Path) -> None:
    RunFolder(tmp_path / "run", {"train": {"lr": 0.1}})
    with pytest.raises(ConfigError, match=r"train\.lr: 0\.1 -> 0\.2") as caught:
        RunFolder(tmp_path / "run", {"train": {"lr": 0.2}})
    assert caught.value.exit_status == 2


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match="not a run folder"):
        RunFolder(tmp_path, {})
    assert (tmp_path / "thesis.tex").exists()


def test_a_half_written_config_of_a_killed_process_is_ignored(tmp_path: Path) -> None:
    (tmp_path / ".config.json.host-99999999-0a1b2c3d.tmp").write_text("{")
    RunFolder(tmp_path, {"lr": 0.1}).log(1, {"loss": 2.0})
    assert RunFolder(tmp_path, {"lr": 0.1}).metrics() == [{"step": 1, "loss": 2.0}]


def test_a_file_where_the_folder_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(StorageError, match="run"):
        RunFolder(tmp_path / "run", {})


def test_an_incomplete_last_line_is_left_out_and_rewind_drops_later_steps(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run", {})
    for step in (1, 2, 3):
        run.log(step, {"loss": float(step)})
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')
    assert [line["step"] for line in run.metrics()] == [1, 2, 3]
    run.rewind(2)
    run.log(3, {"loss": 9.0})
    assert [line["loss"] for line in run.metrics()] == [1.0, 2.0, 9.0]


def test_no_metrics_yet(tmp_path: Path) -> None:
    assert RunFolder(tmp_path / "run", {}).metrics() == []
