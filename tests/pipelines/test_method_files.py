"""A method in a file outside the package: the example of the documentation, run."""

from __future__ import annotations

import csv
import json
import os
import pickle
import sys
from pathlib import Path

import pytest

from abaw.core.artifacts import file_hash, write_json
from abaw.core.errors import ConfigError
from abaw.data.label_portions import portions
from abaw.semisup import registry
from abaw.semisup.registry import method_class, method_file_hash, method_name, method_names
from abaw.training.static_recipe import file_hashes, static_recipe_class
from pipelines.bench.cells import cells_of
from pipelines.bench.command import chosen_variants
from pipelines.cli import main, parse_config
from tests.data.faces import still_store
from tests.documented import write_python

DOCUMENT = Path(__file__).parents[2] / "docs/semi-supervised.md"
QUICK = (
    *("--size", "16", "--batch_size", "8", "--unlabelled_ratio", "1", "--train.accelerator", "cpu"),
    *("--train.steps", "3", "--train.evaluate_every", "3"),
)
BENCH = ("ssl", "--labelled", "a", "--scored", "b", "--out", "c")


@pytest.fixture(autouse=True)
def no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_files", {})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """`my_method.py` of the documentation."""
    return write_python(DOCUMENT, "## A method in a file of your own", tmp_path / "my methods" / "my_method.py")


def test_the_example_trains_with_its_settings(tmp_path: Path, file: Path) -> None:
    labelled = still_store(tmp_path / "a.arrow", [index % 8 for index in range(64)])
    words = ["--labelled", labelled, "--unlabelled", labelled, "--out", tmp_path / "run", "--my_method.power", "3"]
    assert main(["train-static", "--method", str(file), *QUICK, *map(str, words)]) == 0
    settings = json.loads((tmp_path / "run/last/spec.json").read_text())["training"]["settings"]
    assert (settings["method"], settings["my_method"]["power"]) == ("my_method", 3.0)
    assert "confidence" in (tmp_path / "run/metrics.jsonl").read_text()
    assert str(tmp_path) not in (tmp_path / "run/last/spec.json").read_text()


def test_the_example_is_compared(tmp_path: Path, file: Path) -> None:
    labels = [label for label in range(8) for _ in range(10)]
    train = still_store(tmp_path / "train.arrow", labels, 1, {"source": "train"})
    valid = still_store(tmp_path / "valid.arrow", labels[:70:3], 2, {"source": "valid"})
    words = ["--labelled", train, "--scored", valid, "--out", tmp_path / "run", "--workers", 1, "--seeds", 0]
    words += ["--shares", 0.5, "--method", file, "--only", "supervised", "my_method", "mild"]
    words += ["--entries", "supervised=method=supervised", f"mild=method={file},my_method.power=1"]
    assert main(["bench", "ssl", *QUICK, *map(str, words)]) == 0
    rows = list(csv.DictReader((tmp_path / "run/bench.csv").open()))
    assert [(row["entry"], row["method"]) for row in rows] == [
        *(("supervised", "supervised"), ("my_method", "my_method"), ("mild", "my_method"))
    ]


@pytest.mark.parametrize("form", [["--method", "FILE"], ["--method=FILE"]])
def test_its_settings_are_flags_that_help_shows(
    file: Path, form: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["train-static", *(word.replace("FILE", str(file)) for word in form), "--help"])
    out = capsys.readouterr().out
    assert "--my_method.power NUMBER" in out and "--supervised.view" not in out


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--method", "FILE", "--only", "my_method"], ["my_method"]),
        (["--only", "FILE", "leaf"], ["my_method", "leaf"]),
        (["--method", "FILE", "--entries", "a=method=leaf"], ["a", "my_method"]),
        (["--config", "YAML"], ["strong", "my_method"]),
    ],
)
def test_ways_to_name_it(tmp_path: Path, file: Path, words: list[str], names: list[str]) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"method: {file}\nentries: {{strong: {{method: {file}, my_method.power: 9}}}}\nsize: 20\n")
    given = [word.replace("FILE", str(file)).replace("YAML", str(recipe)) for word in words]
    found, _ = chosen_variants(parse_config("bench", [*BENCH, *given]))
    assert [variant.name for variant in found] == names
    assert {variant.recipe.method for variant in found} <= {"my_method", "leaf"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("mine.py", None, "mine.py: no such file"),
        ("mine.py", "def", "mine.py: cannot be loaded: SyntaxError"),
        ("mine.py", "import nothing_of_this_name", "mine.py: cannot be loaded: ModuleNotFoundError"),
        ("mine.py", "x = 1", "mine.py: defines no SETTINGS"),
        ("mine.py", "from abaw.semisup.settings import PseudoLabelling as SETTINGS", "mine.py: defines no METHOD"),
        ("fixmatch.py", "", "'fixmatch' cannot be the name of a method"),
        ("my-method.py", "", "'my-method' cannot be the name of a method"),
    ],
)
def test_files_that_define_no_method(
    tmp_path: Path, name: str, content: str | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    assert main(["train-static", "--method", str(tmp_path / name), "--labelled", "a", "--out", "b"]) == 2
    assert message in capsys.readouterr().err


def test_a_file_named_like_a_setting_is_refused(tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train.py").write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    assert main(["train-static", "--method", str(tmp_path / "train.py"), "--labelled", "a", "--out", "b"]) == 2
    assert "train.py: a setting has this name already" in capsys.readouterr().err


def test_two_files_of_one_name_are_refused(tmp_path: Path, file: Path) -> None:
    assert method_name(str(file)) == "my_method"
    (tmp_path / "my_method.py").write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(ConfigError, match="it is another method's"):
        method_name(str(tmp_path / "my_method.py"))


def test_another_method_can_be_trained_after_it_in_the_same_process(tmp_path: Path, file: Path) -> None:
    labelled = still_store(tmp_path / "a.arrow", [index % 8 for index in range(64)])
    words = [*QUICK, "--labelled", str(labelled)]
    unlabelled = ["--unlabelled", str(labelled)]
    assert main(["train-static", "--method", str(file), *words, *unlabelled, "--out", str(tmp_path / "one")]) == 0
    assert main(["train-static", "--method", "supervised", *words, "--out", str(tmp_path / "two")]) == 0


SCALED = """
from dataclasses import dataclass
from abaw.learning.method import StepResult
from abaw.semisup.methods.supervised.method import Supervised
from abaw.semisup.settings import LabelledLearning

@dataclass(frozen=True, slots=True, kw_only=True)
class SETTINGS(LabelledLearning):
    share: float = 0.5

class METHOD(Supervised):
    def step(self, batch):
        return StepResult(1 * super().step(batch).loss, {})
"""


@pytest.fixture
def scaled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with supervised learning whose loss is multiplied by 1; Python may keep it compiled."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    file = tmp_path / "scaled.py"
    file.write_text(SCALED)
    return file


def _edit(file: Path, old: str, new: str) -> None:
    """As within one second: the time of the last change stays the same."""
    before = file.stat().st_mtime
    file.write_text(file.read_text().replace(old, new))
    os.utime(file, (before, before))


def _train(file: Path, labelled: Path, out: Path) -> int:
    words = ["--method", file, "--labelled", labelled, "--out", out, "--train.log_every", 1, "--holdout", 0]
    return main(["train-static", *QUICK, *map(str, words)])


def _first_loss(run: Path) -> float:
    value: float = json.loads((run / "metrics.jsonl").read_text().splitlines()[0])["loss"]
    return value


def test_a_file_that_has_changed_is_used_as_it_is_now(
    tmp_path: Path, scaled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labelled = still_store(tmp_path / "a.arrow", [index % 8 for index in range(24)])
    first, second = tmp_path / "first", tmp_path / "second"
    assert _train(scaled, labelled, first) == 0
    old = file_hash(scaled)
    _edit(scaled, "1 * super", "7 * super")
    assert _train(scaled, labelled, second) == 0
    assert _first_loss(second) == pytest.approx(7 * _first_loss(first))
    capsys.readouterr()
    assert _train(scaled, labelled, first) == 2
    changed = f"first: holds a run with other settings (file_hashes.method: '{old}' -> '{file_hash(scaled)}')"
    assert changed in capsys.readouterr().err
    assert _train(scaled, labelled, second) == 0
    _edit(scaled, "7 * super", "1 * super")
    assert _train(scaled, labelled, first) == 0


def test_a_run_of_an_earlier_version_is_finished_whatever_its_file(tmp_path: Path, scaled: Path) -> None:
    labelled, run = still_store(tmp_path / "a.arrow", [index % 8 for index in range(24)]), tmp_path / "run"
    assert _train(scaled, labelled, run) == 0
    facts = json.loads((run / "config.json").read_text())
    assert facts["config"].pop("file_hashes") == {"backbone_weights": None, "method": file_hash(scaled)}
    write_json(run / "config.json", facts)
    _edit(scaled, "1 * super", "7 * super")
    assert _train(scaled, labelled, run) == 0


def test_settings_of_a_changed_file_are_those_of_now(scaled: Path) -> None:
    name = method_name(str(scaled))
    assert static_recipe_class()(method=name).scaled.share == 0.5
    _edit(scaled, "share: float = 0.5", "power: int = 2")
    assert method_name(str(scaled)) == name
    recipe = pickle.loads(pickle.dumps(static_recipe_class()(method=name)))
    assert recipe.scaled.power == 2 and not hasattr(recipe.scaled, "share")
    assert recipe.method_class is method_class(name) is static_recipe_class()(method=name).method_class
    assert file_hashes(recipe) == {"backbone_weights": None, "method": file_hash(scaled)}


def test_a_worker_keeps_the_code_that_it_has_loaded(scaled: Path) -> None:
    name = method_name(str(scaled))
    recipe = static_recipe_class()(method=name)
    text, loaded, content = pickle.dumps(recipe), recipe.method_class, method_file_hash(name)
    _edit(scaled, "1 * super", "7 * super")
    assert pickle.loads(text) == recipe
    assert (recipe.method_class, method_file_hash(name)) == (loaded, content)


def test_a_file_that_cannot_be_loaded_any_more_hinders_no_other_method(scaled: Path) -> None:
    assert method_name(str(scaled)) in method_names()
    _edit(scaled, "class METHOD", "class")
    with pytest.raises(ConfigError, match=r"scaled.py: cannot be loaded: SyntaxError"):
        method_name(str(scaled))
    assert "scaled" not in method_names()
    assert static_recipe_class()().method == "supervised"
    scaled.unlink()
    with pytest.raises(ConfigError, match=r"scaled.py: no such file"):
        method_name(str(scaled))


def test_cells_are_identified_by_the_content_of_the_file(tmp_path: Path, scaled: Path) -> None:
    def hashes() -> dict[str, str | None]:
        words = ("--method", str(scaled), "--only", "scaled", "--warm_start_steps", "3")
        variants, base = chosen_variants(parse_config("bench", [*BENCH, *words]))
        (cell,) = cells_of(tmp_path, variants, base, portions((0.5,), ()), (0,))
        assert cell.warm is not None and cell.warm.plain()["file_hashes"] == {"backbone_weights": None, "method": None}
        found: dict[str, str | None] = cell.plain()["file_hashes"]
        return found

    old = hashes()
    assert old == {"backbone_weights": None, "method": file_hash(scaled)}
    _edit(scaled, "1 * super", "7 * super")
    assert hashes() == {"backbone_weights": None, "method": file_hash(scaled)} != old
