"""The command line: where settings come from, and what wrong usage says."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import pytest
from jsonargparse import ArgumentParser

from abaw.core.errors import ConfigError, DataError, UnexpectedError
from pipelines import cli
from pipelines.settings import make_parser


@dataclass(frozen=True)
class SizeConfig:
    """Sizes.

    Attributes:
        width: units per layer.
    """

    width: int = 64
    layers: int = 2


@dataclass(frozen=True)
class SampleConfig:
    """A stage's settings.

    Attributes:
        videos: what to work on.
        out: where to.
    """

    videos: tuple[Path, ...]
    out: Path
    reader: Literal["pyav", "decord"] = "pyav"
    windows: tuple[int, ...] = (16, 32)
    flip: bool = False
    size: SizeConfig = field(default_factory=lambda: SizeConfig(layers=3))


Stage = Callable[[Callable[[SampleConfig], int]], None]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Install a sub-command `sample` that calls the given function."""

    def install(run: Callable[[SampleConfig], int]) -> None:
        monkeypatch.setitem(cli.STAGES, "sample", cli.Stage("sample", "SampleConfig", "a sample", "videos"))
        module = SimpleNamespace(SampleConfig=SampleConfig, run=run)
        monkeypatch.setitem(sys.modules, "pipelines.sample", module)

    install(lambda config: 0)
    return install


def _parse(*words: str) -> SampleConfig:
    config = cli.parse_config("sample", words)
    assert isinstance(config, SampleConfig)
    return config


@pytest.mark.usefixtures("stage")
class TestSettings:
    def test_defaults(self) -> None:
        assert _parse("a.mp4", "b c.mp4", "--out", "o") == SampleConfig((Path("a.mp4"), Path("b c.mp4")), Path("o"))

    def test_file_wins_over_defaults_and_flags_win_over_the_file(self, tmp_path: Path) -> None:
        recipe = tmp_path / "recipe.yaml"
        recipe.write_text("reader: decord\nwindows: [8]\nflip: true\nsize:\n  width: 7\n  layers: 5\n")
        config = _parse("a", "--out", "o", "--config", str(recipe), "--size.layers", "9", "--reader", "pyav")
        assert config == SampleConfig((Path("a"),), Path("o"), "pyav", (8,), True, SizeConfig(7, 9))

    def test_sequences_take_several_words_and_switches_none(self) -> None:
        config = _parse("a", "--out", "o", "--windows", "1", "2", "3", "--flip")
        assert config.windows == (1, 2, 3)
        assert config.flip

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            pytest.param(["a", "--out", "o", "--windws", "3"], "Did you mean '--windows'?", id="unknown flag"),
            pytest.param(["a", "--out", "o", "--size.widht", "3"], "Did you mean '--size.width'?", id="nested flag"),
            pytest.param(
                ["a", "--out", "o", "--reader", "x"],
                "reader: expected one of pyav, decord; found 'x'",
                id="no choice",
            ),
            pytest.param(
                ["a", "--out", "o", "--windows", "x"], "windows: expected a whole number; found 'x'", id="wrong type"
            ),
            pytest.param(["a"], "required: out", id="required flag missing"),
            pytest.param(["--out", "o"], "required: videos", id="positional missing"),
            pytest.param(["a", "--out", "o", "--config", "nowhere.yaml"], "nowhere.yaml", id="no such config"),
        ],
    )
    def test_wrong_usage(self, words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as stop:
            cli.main(["sample", *words])
        assert stop.value.code == 2
        assert expected in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("text", "expected"),
        [("readr: decord\n", "Did you mean 'reader'?"), ("size:\n  widht: 3\n", "Did you mean 'size.width'?")],
    )
    def test_unknown_key_in_file(
        self, text: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        recipe = tmp_path / "recipe.yaml"
        recipe.write_text(text)
        with pytest.raises(SystemExit) as stop:
            cli.main(["sample", "a", "--out", "o", "--config", str(recipe)])
        assert stop.value.code == 2
        assert expected in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("text", "name"),
        [("flip: true\nwindows:\n", "windows"), ("reader: null\n", "reader"), ("size:\n  width:\n", "size.width")],
    )
    def test_a_setting_without_a_value_in_file(
        self, text: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        recipe = tmp_path / "recipe.yaml"
        recipe.write_text(text)
        assert cli.main(["sample", "a", "--out", "o", "--config", str(recipe)]) == 2
        assert f"{name}: expected a value, found none; give one, or leave this setting out" in capsys.readouterr().err


class TestMain:
    @pytest.mark.parametrize(("error", "status"), [(DataError("row 3"), 1), (ConfigError("hop 9"), 2)])
    def test_errors_become_one_line_and_a_status(
        self, stage: Stage, error: Exception, status: int, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def fail(config: SampleConfig) -> int:
            raise error

        stage(fail)
        assert cli.main(["sample", "a", "--out", "o"]) == status
        assert capsys.readouterr().err == f"abaw sample: error: {error}\n"

    def test_status_of_the_stage_is_passed_on(self, stage: Stage) -> None:
        stage(lambda config: 1)
        assert cli.main(["sample", "a", "--out", "o"]) == 1

    def test_unknown_command(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["vlidate"]) == 2
        assert "Did you mean 'validate'?" in capsys.readouterr().err

    def test_usage_lists_every_command(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["--help"]) == 0
        text = capsys.readouterr().out
        assert all(name in text for name in cli.STAGES)


def stage_parser(name: str) -> ArgumentParser:
    stage = cli.STAGES[name]
    config = getattr(import_module(f"pipelines.{stage.module}"), stage.config)
    return make_parser(config, f"abaw {name}", stage.positional)


@pytest.mark.parametrize("name", list(cli.STAGES))
def test_every_stage_has_a_parser_with_help_on_every_setting(name: str) -> None:
    parser = stage_parser(name)
    missing = [action.dest for action in parser._actions if not action.help]
    assert not missing


@pytest.mark.parametrize("name", list(cli.STAGES))
def test_every_example_of_the_help_text_is_accepted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).resolve().parents[2])  # recipes are given as paths from here
    parser = stage_parser(name)
    _, _, text = parser.format_help().partition("examples:\n")
    examples = [shlex.split(line) for line in text.splitlines()]
    assert 2 <= len(examples) <= 3
    for words in examples:
        assert words[:2] == ["abaw", name]
        cli.parse_config(name, words[2:])


@pytest.mark.parametrize(
    ("words", "shown", "hidden"),
    [
        (["train-static", "--help"], "--supervised.view", "--leaf.enough"),
        (["train-static", "--method", "leaf", "--help"], "--leaf.enough", "--supervised.view"),
        (["train-static", "--help", "--method=leaf"], "--leaf.enough", "--supervised.view"),
        (["help", "bench", "--method", "leaf"], "--leaf.margin.lowest", "--ada_cm.margin.lowest"),
    ],
)
def test_help_shows_the_settings_of_the_chosen_method(
    words: list[str], shown: str, hidden: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(words)
    text = capsys.readouterr().out
    assert shown in text and hidden not in text
    assert "`--method NAME --help` shows those of ada_cm," in " ".join(text.split())


def test_help_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["help"]) == 0
    assert "usage: abaw COMMAND" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        cli.main(["help", "features"])
    assert stop.value.code == 0
    assert "usage: abaw features --faces PATH ..." in capsys.readouterr().out


def test_a_closed_pipe_is_no_traceback() -> None:
    command = f"{sys.executable} -m pipelines.cli features --help | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""


@pytest.fixture
def breaks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[BaseException], None]:
    """Makes `doctor` raise; bug reports go to the test's folder."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("ABAW_TRACEBACK", raising=False)

    def arrange(error: BaseException) -> None:
        def dispatch(words: list[str]) -> int:
            raise error

        monkeypatch.setattr(cli, "dispatch", dispatch)

    return arrange


def test_a_bug_ends_in_one_line_that_names_a_file_with_the_traceback(
    breaks: Callable[[BaseException], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    breaks(KeyError("a\nb\x1b[31m"))
    assert cli.main(["doctor", "--x", "1"]) == 1
    line = capsys.readouterr().err
    (report,) = tmp_path.glob("abaw-bug-*.txt")
    assert line.count("\n") == 1 and "\x1b" not in line and "Traceback" not in line
    assert line.startswith("abaw doctor: error: unexpected KeyError: ")
    assert line.endswith(f"this is a bug of abaw: please report it with the file {report}\n")
    text = report.read_text(encoding="utf-8")
    assert "Traceback" in text and "command: ['doctor', '--x', '1']" in text
    monkeypatch.setenv("ABAW_TRACEBACK", "1")
    with pytest.raises(KeyError):
        cli.main(["doctor"])


def test_a_bug_in_a_worker_is_reported_with_the_traceback_of_the_worker(
    breaks: Callable[[BaseException], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    breaks(UnexpectedError("KeyError: 3", "Traceback of the worker\n"))
    assert cli.main(["doctor"]) == 1
    (report,) = tmp_path.glob("abaw-bug-*.txt")
    assert capsys.readouterr().err.startswith("abaw doctor: error: unexpected KeyError: 3; this is a bug of abaw: ")
    assert report.read_text(encoding="utf-8").endswith("Traceback of the worker\n")


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")]
)
def test_a_lack_of_memory_is_no_bug(
    breaks: Callable[[BaseException], None], tmp_path: Path, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    breaks(error)
    assert cli.main(["doctor"]) == 1
    assert capsys.readouterr().err.startswith("abaw doctor: error: not enough memory; close other programs")
    assert not list(tmp_path.iterdir())


def test_an_interrupt_stays_one(breaks: Callable[[BaseException], None]) -> None:
    breaks(KeyboardInterrupt())
    assert cli.main(["doctor"]) == 130


@pytest.mark.parametrize("flag", ["--faces", "--checkpoint", "--config"])
def test_a_pipe_by_name_is_refused_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    words = ["features", "--faces", str(tmp_path), "--checkpoint", "builtin", "--out", str(tmp_path / "out")]
    try:
        status = cli.main([*words, flag, str(tmp_path / "pipe")])
    except SystemExit as error:
        status = int(str(error.code))
    assert status in (1, 2)
    assert "pipe" in capsys.readouterr().err


def test_a_path_that_is_not_utf_8_is_a_path() -> None:
    name = os.fsdecode(b"a \xff")
    config = cli.parse_config("validate", ["--predictions", name, "--annotations", name, "--out", name])
    assert (config.predictions, config.annotations, config.out) == ((Path(name),), Path(name), Path(name))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--leaf.temperature", "-1"], "leaf.temperature is -1.0; expected more than 0"),
        (["--train.steps", "-1"], "train.steps is -1; expected at least 1"),
        (["--leaf.margin.lowest", "2"], "leaf.margin: margins from 2.0 to"),
        (["--supervised.mixup", "0.8", "--supervised.cutmix", "0.5"], "supervised.mixup 0.8 + cutmix 0.5 > 1"),
    ],
)
def test_a_message_names_the_section_of_a_setting(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["train-static", "--labelled", "x", "--out", "y", *words]) == 2
    assert capsys.readouterr().err.startswith(f"abaw train-static: error: {expected}")
