"""A method in a file outside the package: the example of the documentation, run."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from abaw.core.errors import ConfigError
from abaw.semisup import registry
from abaw.semisup.registry import method_name
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
