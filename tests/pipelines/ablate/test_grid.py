"""Grids: what can be varied, how values are read, which combinations are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from abaw.core.errors import ConfigError
from abaw.models.sizes import TransformerSize
from abaw.training.settings import TrainSettings
from pipelines.ablate.command import AblateConfig
from pipelines.ablate.grid import GridRecipe, points
from pipelines.cli import parse_config

GRID = [("window", ["50", "100"]), ("model.layers", ["1", "2"]), ("hop", ["5"])]
PATHS = ["--features", "f", "--annotations", "a", "--out", "o"]


@pytest.mark.parametrize(
    ("vary", "names"),
    [
        ({"window": ["50", "100"]}, ["window=50", "window=100"]),
        (
            {"window": ["50", "100"], "model.layers": ["1", "2"]},
            ["window=50,model.layers=1", "window=50,model.layers=2", "window=100,model.layers=1",
             "window=100,model.layers=2"],
        ),
        ({"model.causal": ["true", "false"]}, ["model.causal=true", "model.causal=false"]),
        ({"learn.balance": ["none"]}, ["learn.balance=none"]),
        ({"train.lr": ["1e-3", "3e-5"]}, ["train.lr=0.001", "train.lr=3e-05"]),
    ],
)  # fmt: skip
def test_combinations_are_named_in_the_order_given(vary: dict[str, list[str]], names: list[str]) -> None:
    assert [point.name for point in points(GridRecipe(), vary)] == names


def test_the_order_of_the_fields_changes_the_order_of_the_cells_but_no_name() -> None:
    one, other = ([point.name for point in points(GridRecipe(), dict(pairs))] for pairs in (GRID, reversed(GRID)))
    assert one != other and sorted(one) == sorted(other)


@pytest.mark.parametrize(
    ("config", "vary", "windows"),
    [
        ({}, {"window": ["50", "100"]}, [(50, 33), (100, 67)]),
        ({"hop": 40}, {"window": ["50", "100"]}, [(50, 40), (100, 40)]),
        ({"window": 80}, {"hop": ["80", "20"]}, [(80, 80), (80, 20)]),
        ({"window": 80}, {"hop_fraction": ["1", "0.25"]}, [(80, 80), (80, 20)]),
        ({"window": 1}, {"hop_fraction": ["0.1"]}, [(1, 1)]),
    ],
)
def test_the_hop_is_given_in_frames_or_as_a_share(
    config: dict[str, Any], vary: dict[str, list[str]], windows: list[tuple[int, int]]
) -> None:
    assert [(point.window, point.hop) for point in points(GridRecipe(**config), vary)] == windows


def test_values_have_the_type_of_their_setting_and_reach_the_recipe() -> None:
    vary = {"model.layers": ["3"], "model.distance_bias": ["false"], "train.lr": ["0.5"], "learn.sampling": ["class"]}
    (point,) = points(GridRecipe(holdout=0.2), {**vary, "holdout": ["0.3"]})
    assert point.recipe.model == TransformerSize(layers=3, distance_bias=False)
    assert (point.recipe.train.lr, point.recipe.learn.sampling, point.recipe.holdout) == (0.5, "class", 0.3)
    assert list(map(type, point.values.values())) == [int, bool, float, str, float]


def test_settings_of_one_part_are_checked_together() -> None:
    """Width 24 with 3 heads fits, though neither fits the other's default."""
    (point,) = points(GridRecipe(), {"model.width": ["24"], "model.heads": ["3"]})
    assert (point.recipe.model.width, point.recipe.model.heads) == (24, 3)


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        ({"windw": ["5"]}, "no setting 'windw' that can be varied. Did you mean 'window'?"),
        ({"layers": ["5"]}, "Did you mean 'model.layers'?"),
        ({"model.layer": ["5"]}, "Did you mean 'model.layers'?"),
        ({"features": ["5"]}, "no setting 'features'"),
        ({"out": ["x"]}, "no setting 'out'"),
        ({"tasks": ["expression"]}, "no setting 'tasks'"),
        ({"train.seed": ["1"]}, "train.seed is varied by --seeds"),
        ({"window": ["fifty"]}, "window=fifty: expected a whole number"),
        ({"window": ["2.5"]}, "window=2.5: expected a whole number"),
        ({"train.lr": ["fast"]}, "train.lr=fast: expected a number"),
        ({"model.causal": ["yes"]}, "model.causal=yes: expected true or false"),
        ({"learn.balance": ["logit"]}, "learn.balance=logit: expected one of logit_adjustment,"),
        ({"window": ["20", "20"]}, "vary window=20,20: expected one or more different values"),
        ({"window": []}, "expected one or more different values"),
        ({"hop": ["5"], "hop_fraction": ["0.5"]}, "vary either hop"),
        ({"window": ["0"]}, "window=0: window 0"),
        ({"hop_fraction": ["1.2"]}, "hop_fraction=1.2: hop_fraction 1.2: expected more than 0 and at most 1"),
        ({"holdout": ["1"]}, "holdout=1.0: holdout 1"),
        ({"model.width": ["17"]}, "1 of 1 cells do not fit: model.width=17: width 17 must be a multiple"),
    ],
)
def test_what_does_not_fit_is_reported(vary: dict[str, list[str]], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        points(GridRecipe(), vary)
    assert message in str(error.value)


def test_all_cells_that_do_not_fit_are_named() -> None:
    with pytest.raises(ConfigError) as error:
        points(GridRecipe(hop=60), {"window": ["50", "100", "20"], "model.heads": ["4", "3"]}, given=["hop"])
    text = str(error.value)
    assert text.startswith("5 of 6 cells do not fit: window=50,model.heads=4: hop 60 > window 50")
    assert "window=100,model.heads=3: width 128 must be a multiple" in text and "window=100,model.heads=4" not in text


def test_a_recipe_is_adapted_to_the_values_unless_given_on_the_command_line() -> None:
    recipe = GridRecipe(hop=60, train=TrainSettings(steps=1000, warmup_steps=500))
    vary = {"window": ["50", "100"], "train.steps": ["20", "600"]}
    found = {point.name: point for point in points(recipe, vary)}
    assert {name: (point.hop, point.recipe.train.warmup_steps) for name, point in found.items()} == {
        "window=50,train.steps=20": (50, 19),
        "window=50,train.steps=600": (50, 500),
        "window=100,train.steps=20": (60, 19),
        "window=100,train.steps=600": (60, 500),
    }
    assert found["window=100,train.steps=20"].notes == ("train.warmup_steps: 19 instead of 500, to fit train.steps 20",)
    for given in ("hop", "train.warmup_steps"):
        with pytest.raises(ConfigError, match="2 of 4 cells do not fit"):
            points(recipe, vary, [given])


def test_a_share_has_no_effect_with_a_hop_in_frames() -> None:
    with pytest.raises(ConfigError, match="use --hop null"):
        points(GridRecipe(hop=60), {"hop_fraction": ["0.5"]})


YAML = "vary: {window: [50, 100], model.causal: [true, false], train.lr: 1.0e-3}\n"


@pytest.mark.parametrize(
    ("words", "vary"),
    [
        ([], {}),
        (["--vary", "window=50,100"], {"window": ("50", "100")}),
        (["--vary", "window=50,100", "model.layers=1"], {"window": ("50", "100"), "model.layers": ("1",)}),
        (["--vary", "window=50", "--vary", "model.layers=1,2"], {"window": ("50",), "model.layers": ("1", "2")}),
        (
            ["--config", "YAML"],
            {"window": ("50", "100"), "model.causal": ("true", "false"), "train.lr": ("0.001",)},
        ),
        (
            ["--config", "YAML", "--vary", "window=70", "hop=5"],
            {"window": ("70",), "model.causal": ("true", "false"), "train.lr": ("0.001",), "hop": ("5",)},
        ),
    ],
)
def test_the_command_line_and_yaml_say_the_same(tmp_path: Path, words: list[str], vary: dict[str, Any]) -> None:
    (tmp_path / "recipe.yaml").write_text(YAML)
    words = [str(tmp_path / "recipe.yaml") if word == "YAML" else word for word in words]
    config = parse_config("ablate", [*PATHS, *words])
    assert isinstance(config, AblateConfig) and config.vary == vary


@pytest.mark.parametrize("words", [["window"], ["window="], ["=5"], ["window=50", "100"]])
def test_words_that_name_no_value_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        parse_config("ablate", [*PATHS, "--vary", *words])
    assert error.value.code == 2 and "expected NAME=VALUE,VALUE" in capsys.readouterr().err
