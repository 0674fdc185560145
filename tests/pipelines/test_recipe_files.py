"""`--config` by name or path, and settings of a recipe that are adapted to the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from abaw.core.errors import ConfigError
from pipelines.bench.command import chosen_variants
from pipelines.cli import main, parse_config
from pipelines.recipe_files import files_first, recipe, recipe_names

STATIC = ["--labelled", "a", "--out", "b"]
TEMPORAL = ["--features", "a", "--annotations", "b", "--out", "c"]
BENCH = ["ssl", "--labelled", "a", "--scored", "b", "--out", "c"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_recipes_are_found_by_name_from_anywhere() -> None:
    names = recipe_names()
    assert "static_affwild2" in names and "bench/ferplus" in names
    assert all(recipe(name).is_file() for name in names)
    config = parse_config("train-static", ["--config", "static_affwild2", *STATIC])
    assert (config.backbone, config.train.steps) == ("resnet18", 10000)
    assert parse_config("bench", [*BENCH, "--config=bench/ferplus"]).published == "ferplus"


def test_an_existing_file_has_precedence_and_a_folder_has_not(tmp_path: Path) -> None:
    (tmp_path / "static_demo").mkdir()
    assert parse_config("train-static", ["--config", "static_demo", *STATIC]).train.steps == 500
    (tmp_path / "static_affwild2").write_text("size: 40\n")
    assert parse_config("train-static", ["--config", "static_affwild2", *STATIC]).size == 40


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("static_afwild2", "static_affwild2"),
        ("bench/ferpls", "bench/ferplus"),
        ("recipes/static_demo.yaml", "static_demo"),
        ("../nowhere/static_demo", "static_demo"),
    ],
)
def test_an_unknown_name_lists_the_recipes(name: str, near: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train-static", "--config", name, *STATIC])
    text = capsys.readouterr().err
    assert ended.value.code == 2
    assert f"no file and no recipe '{name}'; recipes are ablate_affwild2, " in text and "bench/ferplus" in text
    assert f"Did you mean '{near}'?" in text


def test_flags_override_the_file_wherever_they_are(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    (tmp_path / "g").touch()
    assert files_first(["a", "--x", "1", "--config", "f", "--config=g", "--y", "--config"]) == [
        *("--config", "f", "--config", "g", "--config", "a", "--x", "1", "--y")
    ]
    assert parse_config("train-static", ["--train.steps", "777", "--config", "static_demo", *STATIC]).train.steps == 777


@pytest.mark.parametrize(
    ("command", "words", "expected", "line"),
    [
        (
            *("train-static", ["--config", "static_affwild2", "--train.steps", "20", *STATIC]),
            *({"steps": 20, "warmup_steps": 19}, "train.warmup_steps: 19 instead of 500, to fit train.steps 20\n"),
        ),
        (
            *("train-static", ["--train.steps=1", *STATIC]),
            *({"steps": 1, "warmup_steps": 0}, "train.warmup_steps: 0 instead of 100, to fit train.steps 1\n"),
        ),
        (
            *("cross-validate", ["--config", "temporal_affwild2", "--train.steps", "20", *TEMPORAL]),
            *({"steps": 20, "warmup_steps": 19}, "train.warmup_steps: 19 instead of 500, to fit train.steps 20\n"),
        ),
        ("train-static", ["--config", "static_affwild2", *STATIC], {"steps": 10000, "warmup_steps": 500}, ""),
        (
            *("train-static", ["--config", "static_affwild2", *STATIC, "--train.steps", "501"]),
            *({"steps": 501, "warmup_steps": 500, "evaluate_every": 1000, "checkpoint_every": 1000}, ""),
        ),
    ],
)
def test_the_warm_up_of_a_recipe_is_adapted_to_the_steps(
    command: str, words: list[str], expected: dict[str, Any], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    train = parse_config(command, words).train
    assert {name: getattr(train, name) for name in expected} == expected
    assert capsys.readouterr().err == line


def test_the_hop_is_adapted_to_the_window(capsys: pytest.CaptureFixture[str]) -> None:
    config = parse_config("train-temporal", ["--window", "50", *TEMPORAL])
    assert (config.window, config.hop) == (50, 50)
    assert capsys.readouterr().err == "hop: 50 instead of 200, to fit window 50\n"


@pytest.mark.parametrize("value", [["--train.warmup_steps", "500"], ["--train.warmup_steps=500"]])
def test_a_warm_up_on_the_command_line_that_does_not_fit_is_an_error(
    value: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train-static", "--config", "static_affwild2", "--train.steps", "20", *value, *STATIC]) == 2
    assert "warmup_steps 500 >= steps 20" in capsys.readouterr().err


def test_entries_adapt_the_recipe() -> None:
    words = [*BENCH, "--config", "bench/ferplus", "--entries", "short=method=supervised,train.steps=20", "--only"]
    found, _ = chosen_variants(parse_config("bench", [*words, "short"]))
    assert [(entry.recipe.train.steps, entry.recipe.train.warmup_steps) for entry in found] == [(20, 19)]
    assert found[0].notes == ("train.warmup_steps: 19 instead of 50, to fit train.steps 20",)
    with pytest.raises(ConfigError, match="entry short: warmup_steps 40 >= steps 20"):
        chosen_variants(parse_config("bench", [*words, "short", "--train.warmup_steps", "40"]))


@pytest.mark.parametrize("flag", ["--only", "--against"])
def test_an_entry_that_does_not_exist_is_refused(flag: str) -> None:
    config = parse_config("bench", [*BENCH, "--config", "bench/ferplus", flag, "supervised_unifrom"])
    with pytest.raises(ConfigError, match=f"^{flag} supervised_unifrom: .* Did you mean 'supervised_uniform'"):
        chosen_variants(config)


@pytest.mark.parametrize("name", ["leaf", "supervised_uniform"])
def test_only_takes_entries_and_other_methods(name: str) -> None:
    found, _ = chosen_variants(parse_config("bench", [*BENCH, "--config", "bench/ferplus", "--only", name]))
    (entry,) = found
    assert (entry.name, entry.recipe.method) == (name, {"supervised_uniform": "supervised"}.get(name, name))
    assert entry.recipe.size == 32
