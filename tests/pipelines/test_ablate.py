"""`abaw ablate` on made-up features: cells equal to train-temporal's runs, resumed after a kill, reported with care."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from abaw.core.artifacts import read_json
from pipelines.ablation_report import Cell, best_line, markdown_table, write_plot
from pipelines.cli import main, parse_config
from pipelines.settings import recipe
from tests.pipelines.temporal_data import TINY, data_flags, make_data, make_split
from tests.pipelines.test_train_temporal import kill_when

pytestmark = pytest.mark.usefixtures("one_thread")


def _words(root: Path, out: Path, *more: str) -> list[str]:
    words = ["ablate", *data_flags(root), "--out", str(out), *TINY, "--holdout", "0.34", "--train.steps", "8"]
    return [*words, "--windows", "20", "40", "--seeds", "0", "1", "--hop_fraction", "0.5", *more]


def test_every_cell_is_trained_scored_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_data(tmp_path)
    out = tmp_path / "run"
    assert main(_words(tmp_path, out)) == 0
    rows = list(csv.DictReader((out / "ablation.csv").open()))
    assert [(row["window"], row["hop"], row["seed"]) for row in rows] == [
        ("20", "10", "0"), ("20", "10", "1"), ("40", "20", "0"), ("40", "20", "1"),
    ]  # fmt: skip
    assert all(0 <= float(row["macro_f1"]) <= 1 and float(row["train_seconds"]) > 0 for row in rows)
    assert (out / "ablation.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    table = (out / "ablation.md").read_text()
    assert "| 20 | 10 | 2 |" in table and "| 20 | 10 | 2 |" in printed
    assert "best: window" in printed and "chosen among 2 on the very videos it is scored on" in printed
    found = read_json(out / "ablation.json")
    assert found["config"]["windows"] == [20, 40] and len(found["cells"]) == 4


def test_a_cell_is_the_run_of_train_temporal(tmp_path: Path) -> None:
    make_data(tmp_path)
    assert main(_words(tmp_path, tmp_path / "run")) == 0
    words = ["train-temporal", *data_flags(tmp_path), "--out", str(tmp_path / "one"), *TINY, "--holdout", "0.34"]
    words += ["--train.steps", "8", "--window", "40", "--hop", "20", "--train.seed", "1"]
    assert main(words) == 0
    cell = load_file(tmp_path / "run" / "cells" / "window40_hop20_seed1" / "last" / "weights.safetensors")
    one = load_file(tmp_path / "one" / "last" / "weights.safetensors")
    assert all(torch.equal(cell[key], one[key]) for key in one)


def test_finished_cells_are_kept_and_windows_can_be_added(tmp_path: Path) -> None:
    make_data(tmp_path)
    out = tmp_path / "run"
    assert main(_words(tmp_path, out, "--windows", "20")) == 0
    weights = out / "cells" / "window20_hop10_seed0" / "last" / "weights.safetensors"
    before = weights.stat().st_mtime_ns
    assert main(_words(tmp_path, out, "--windows", "20", "30")) == 0
    assert weights.stat().st_mtime_ns == before
    assert len(list(csv.DictReader((out / "ablation.csv").open()))) == 4


def test_a_killed_ablation_goes_on_to_the_same_result(tmp_path: Path) -> None:
    make_data(tmp_path)
    flags = ["--train.steps", "40", "--train.checkpoint_every", "10"]
    assert main(_words(tmp_path, tmp_path / "whole", *flags)) == 0
    words = _words(tmp_path, tmp_path / "killed", *flags)
    kill_when(words, tmp_path / "killed" / "cells" / "window20_hop10_seed1" / "last" / "state.pt")
    assert (tmp_path / "killed" / "cells" / "window20_hop10_seed0" / "cell.json").exists()
    assert not (tmp_path / "killed" / "ablation.csv").exists()
    assert main(words) == 0
    whole, killed = (
        [replace(Cell(**cell), train_seconds=None) for cell in read_json(tmp_path / run / "ablation.json")["cells"]]
        for run in ("whole", "killed")
    )
    assert whole == killed
    times = [cell["train_seconds"] for cell in read_json(tmp_path / "killed" / "ablation.json")["cells"]]
    assert times[1] is None and all(times[index] for index in (0, 2, 3)), "an interrupted run has no honest time"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--hop_fraction", "1.2"], "with hop > window the frames"),
        (["--hop_fraction", "0"], "hop_fraction 0"),
        (["--windows", "20", "20"], "windows [20, 20]"),
        (["--windows", "0"], "at least 1 frame"),
        (["--train.devices", "2"], "on one device"),
    ],
)
def test_settings_that_do_not_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    make_data(tmp_path)
    assert main(_words(tmp_path, tmp_path / "run", *flags)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_run_of_other_settings_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_data(tmp_path)
    assert main(_words(tmp_path, tmp_path / "run")) == 0
    assert main(_words(tmp_path, tmp_path / "run", "--train.lr", "0.5")) == 2
    assert "holds a run with other settings (train.lr: " in capsys.readouterr().err


def test_cells_scored_on_other_videos_are_not_mixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_data(tmp_path)
    assert main(_words(tmp_path, tmp_path / "run")) == 0
    make_split(tmp_path, "Validation_Set", ["late"])
    assert main(_words(tmp_path, tmp_path / "run")) == 1
    assert "was scored on other videos" in capsys.readouterr().err


def test_a_video_in_both_splits_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_data(tmp_path)
    source = tmp_path / "annotations" / "Train_Set" / "train0.txt"
    (tmp_path / "annotations" / "Validation_Set" / "train0.txt").write_bytes(source.read_bytes())
    assert main(_words(tmp_path, tmp_path / "run")) == 1
    assert "in Train_Set and in Validation_Set: train0" in capsys.readouterr().err


def _cell(window: int, seed: int, score: float) -> Cell:
    return Cell(window, window // 2, seed, score, score, score, 1000, 2.0)


def test_the_table_shows_mean_and_spread() -> None:
    table = markdown_table([_cell(40, 0, 0.3), _cell(20, 1, 0.2), _cell(20, 0, 0.4)])
    rows = table.splitlines()[2:]
    assert rows[0].startswith("| 20 | 10 | 2 | 0.3000 ± 0.1414 | 0.2000 | 0.4000 |")
    assert rows[1].startswith("| 40 | 20 | 1 | 0.3000 | 0.3000 | 0.3000 |")


def test_the_best_window_is_the_best_mean_not_the_best_run() -> None:
    cells = [_cell(20, 0, 0.9), _cell(20, 1, 0.1), _cell(40, 0, 0.6), _cell(40, 1, 0.6)]
    line = best_line(cells, num_videos=7)
    assert line.startswith("best: window 40, macro F1 0.6000 ± 0.0000 on 7 validation videos. Caveat:")
    assert "Caveat" not in best_line(cells[:2], 7) and "one seed (no spread known)" in best_line(cells[:1], 7)


def test_one_cell_can_be_drawn(tmp_path: Path) -> None:
    write_plot(tmp_path / "a.png", [_cell(20, 0, 0.5)])
    assert (tmp_path / "a.png").stat().st_size > 1000


@pytest.mark.parametrize("name", ["ablate_demo", "ablate_affwild2"])
def test_recipes_are_understood(name: str) -> None:
    config = parse_config(
        "ablate", ["--config", str(recipe(name)), "--features", "f", "--annotations", "a", "--out", "o"]
    )
    assert len(config.windows) >= 3 and len(config.seeds) >= 2
