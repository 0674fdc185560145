"""The recipes that ship: their headers say what `--print_config` shows, and papers are what they are known to be."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from abaw.core.errors import ConfigError
from pipelines.bench.command import chosen_variants
from pipelines.cli import main, parse_config
from pipelines.recipe_files import files_first, profiles, recipe, recipe_names

PROFILES = [(name, profile) for name in recipe_names() for profile in profiles(recipe(name))]
SETTINGS = re.compile(r"# Settings: (?P<text>.*)")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def header(name: str) -> str:
    lines = recipe(name).read_text(encoding="utf-8").splitlines()
    return "\n".join(lines[: next(index for index, line in enumerate(lines) if not line.startswith("#"))])


def commands(name: str) -> list[list[str]]:
    """The commands of a header, as words without `abaw`."""
    text = header(name).partition("# Command:")[2]
    text = re.split(r"\n# (?=\w+:)", text)[0]
    lines = [line.lstrip("#").strip() for line in text.splitlines()]
    note = next((index for index, line in enumerate(lines) if line.startswith("(")), len(lines))
    whole = "\n".join(lines[:note]).replace("\\\n", " ").replace("…", "")
    return [shlex.split(line)[1:] for line in whole.splitlines() if line.startswith("abaw ")]


def printed(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([*words, "--print_config"])
    assert not ended.value.code
    values = yaml.safe_load(capsys.readouterr().out)
    assert isinstance(values, dict)
    return values


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def summary(values: dict[str, Any]) -> str:
    """What the line `Settings` of a header says."""
    if "smoothing" in values and "train" not in values:
        return f"{', '.join(values['smoothing'])}{'; bias fitted' if values['fit_bias'] else ''}"
    train, shown = values["train"], []
    steps = f"{train['steps']} steps of "
    if "model" in values:
        shown += [f"encoder of {values['model']['layers']} layers {values['model']['width']} wide"]
        shown += [f"windows of {values['window']} frames", f"{steps}{values['learn']['batch_size']} windows"]
    else:
        warm = values.get("warm_start_steps")
        steps = f"{warm} + {steps}" if warm else steps
        shown += [values["method"]] if "entries" not in values and "method" in values else []
        shown += [f"{values['backbone']} at {values['size']} px", f"{steps}{values['batch_size']} faces"]
        if shown[0] not in ("supervised", shown[-2]):
            shown[-1] += f" and {values['batch_size'] * values['unlabelled_ratio']} unlabelled ones"
    return ", ".join([*shown, train["accelerator"], train["precision"]])


@pytest.mark.parametrize("name", recipe_names())
def test_the_header_says_what_print_config_shows(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    own = [words for words in commands(name) if "--config" in words and words[words.index("--config") + 1] == name]
    assert own, f"{name}: no command of the header uses it"
    text = header(name)
    for words in own:
        values = printed(words, capsys)
        overridden = {word.removeprefix("--") for word in words if word.startswith("--")}
        shown = flat(values)
        for key, value in flat(yaml.safe_load(recipe(name).read_text(encoding="utf-8"))).items():
            if key not in overridden and not key.startswith(("entries.", "vary.")):
                assert shown[key] == value, key
        accelerator = values.get("train", {}).get("accelerator", "auto")
        hardware = text.partition("# Hardware:")[2].partition("\n# ")[0]
        assert accelerator == "auto" or (accelerator == "cuda") == ("GPU" in hardware)
    settings = SETTINGS.search(text)
    if settings is not None:
        assert settings["text"] == summary(printed(own[0], capsys))
    assert {"Command", "Hardware", "Time", "Score"} <= set(re.findall(r"^# (\w+):", text, re.MULTILINE))


@pytest.mark.parametrize("name", [name for name in recipe_names() if name.startswith(("paper_", "recommended/"))])
def test_recipes_of_papers_say_what_they_need(name: str) -> None:
    keys = set(re.findall(r"^# (\w+):", header(name), re.MULTILINE))
    assert {"Settings", "Memory"} <= keys and ("Ours" in keys or name.startswith("recommended/"))


@pytest.mark.parametrize("name", recipe_names())
def test_the_commands_before_and_after_are_understood(name: str) -> None:
    for words in commands(name):
        assert parse_config(words[0], words[1:]) is not None


@pytest.mark.parametrize(("name", "profile"), PROFILES)
def test_profiles_run_on_a_cpu(name: str, profile: str) -> None:
    words = next(words for words in commands(name) if name in words)
    config = parse_config(words[0], [*words[1:], "--profile", profile])
    whole = parse_config(words[0], words[1:])
    assert config.train.accelerator == "cpu" and config.train.steps < whole.train.steps
    assert getattr(config, "method", "") == getattr(whole, "method", "")


def test_a_profile_overrides_the_recipe_and_flags_override_both() -> None:
    words = ["--labelled", "a", "--out", "b", "--config", "paper_2403_11942/static", "--profile=small"]
    config = parse_config("train-static", [*words, "--train.steps", "7", "--train.warmup_steps", "1"])
    assert (config.backbone, config.size, config.train.steps) == ("small", 32, 7)
    assert (config.spatial.feedback, config.spatial.margin.lowest, config.spatial.margin.stage_steps) == (
        *("face2exp", 0.3, 100),
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--profile", "small"], "profiles belong to recipes; give one with --config"),
        (["--config", "static_demo", "--profile", "small"], "which has no profiles"),
        (["--config", "recommended/static", "--profile", "large"], "expected small"),
    ],
)
def test_an_unknown_profile_is_refused(words: list[str], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        files_first(words)


@pytest.mark.parametrize(
    ("old", "new"), [("static_semisupervised", "recommended/static"), ("temporal_affwild2", "recommended/temporal")]
)
def test_earlier_names_stay_valid(old: str, new: str) -> None:
    assert recipe(old) == recipe(new)
    assert old not in recipe_names()


def test_the_bench_compares_the_small_profiles() -> None:
    """Its entries repeat what the recipes say, and nothing else differs."""
    words = ["ssl", "--labelled", "a", "--scored", "b", "--out", "c", "--config", "bench/recipes"]
    entries = {"paper": "paper_2403_11942", "leaf_paper": "paper_2404_15041", "dta_snl_paper": "paper_2601_05556"}
    found, _ = chosen_variants(parse_config("bench", [*words, "--only", *entries]))
    compared = ("method", "backbone", "size", "grey", "balance", "batch_size", "unlabelled_ratio")
    for variant in found:
        given = ["--labelled", "a", "--out", "b", "--config", f"{entries[variant.name]}/static", "--profile", "small"]
        small = parse_config("train-static", given)
        for key in (*compared, small.method):
            assert getattr(variant.recipe, key) == getattr(small, key), key
        assert (variant.recipe.train.steps, variant.recipe.train.lr) == (small.train.steps, small.train.lr)
