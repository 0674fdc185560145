"""Commands called from Python: keywords become the same settings as flags, and faults become exceptions."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import abaw
from abaw.core.config import GIVEN
from abaw.core.errors import ConfigError
from pipelines.api import functions
from pipelines.api.call import call, progress_hook, words_of
from pipelines.api.results import Report, Run
from pipelines.api.stub import stub
from pipelines.cli import STAGES, parse_config

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("predict-video", {"videos": [Path("a.mp4"), "b.mp4"], "render": True}, "a.mp4 b.mp4 --render"),
        ("predict-video", {"videos": "a.mp4", "temporal": None, "render": False}, "a.mp4 --no-render"),
        ("predict-video", {"smoothing": "box:5", "videos": "a"}, "a --smoothing box:5"),
        ("extract", {"videos": "a", "out": "-x", "crop": ["aligned:112", "box:224:0.3"]}, None),
        (
            "train-temporal",
            {"features": ["f"], "annotations": "a", "out": "o", "train": {"steps": 7, "lr": 0.1}, "window": 50},
            "--features f --annotations a --out o --train.steps 7 --train.lr 0.1 --window 50",
        ),
        (
            "ablate",
            {"features": "f", "annotations": "a", "out": "o", "vary": {"window": [50, 100]}, "seeds": (0, 1)},
            "--features f --annotations a --out o --vary window=50,100 --seeds 0 1",
        ),
        (
            "ablate",
            {
                "features": "f",
                "annotations": "a",
                "out": "o",
                "vary": {"window": 50, "hop": [None, 9]},
                "seeds": range(2),
            },
            "--features f --annotations a --out o --vary window=50 hop=null,9 --seeds 0 1",
        ),
        (
            "features",
            {"faces": "f", "checkpoint": "c", "out": "o", "extractor": {"mean": [0.5, 0.4, 0.3], "std": (1, 1, 1)}},
            "--faces f --checkpoint c --out o --extractor.mean 0.5 0.4 0.3 --extractor.std 1 1 1",
        ),
        (
            "train-static",
            {"config": "static_demo", "labelled": ["a"], "out": "o"},
            "--config static_demo --labelled a --out o",
        ),
    ],
)
def test_keywords_are_the_flags(name: str, settings: dict[str, Any], words: str | None) -> None:
    made = parse_config(name, words_of(name, settings), exits=False)
    if words is None:
        assert (str(made.out), made.crop) == ("-x", ("aligned:112", "box:224:0.3"))
    else:
        assert str(made) == str(parse_config(name, words.split()))


class Ran(Exception):
    """What replaces the run of a command."""


def _config(function: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The settings with which a function would run its command."""

    def run(name: str, config: Any) -> int:
        raise Ran(config)

    monkeypatch.setattr("pipelines.api.call.run_config", run)
    with pytest.raises(Ran) as ran:
        getattr(abaw, function)(**settings)
    (config,) = ran.value.args
    return {field.name: getattr(config, field.name) for field in fields(config) if GIVEN not in field.metadata}


def _required(function: str) -> dict[str, str]:
    parameters = inspect.signature(getattr(abaw, function)).parameters.values()
    more = {"labelled": "x"} if function == "train_static" else {}  # either these or videos
    return {one.name: "x" for one in parameters if one.default is one.empty} | more


@pytest.mark.parametrize("function", functions.COMMANDS)
def test_a_default_that_the_signature_shows_is_as_good_as_none_given(
    function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = inspect.signature(getattr(abaw, function)).parameters.values()
    required = _required(function)
    if function == "predict_video":
        required["out"] = "x"  # its default is another temporary folder each time
    shown = {one.name: one.default for one in parameters if one.name not in required}
    assert {"config", "profile", "progress"} <= set(shown)
    assert _config(function, {**required, **shown}, monkeypatch) == _config(function, required, monkeypatch)


@pytest.mark.parametrize("function", functions.COMMANDS)
def test_none_is_refused_where_a_setting_needs_a_value(
    function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipelines.api.call.run_config", lambda name, config: pytest.fail("it ran"))
    parameters = inspect.signature(getattr(abaw, function)).parameters.values()
    wrong = [one.name for one in parameters if one.default is not None and one.name not in ("all", "progress")]
    assert set(_required(function)) <= set(wrong)
    for name in wrong:
        with pytest.raises(ConfigError) as fault:
            getattr(abaw, function)(**{**_required(function), name: None})
        assert str(fault.value) == f"{name}: expected a value, found None; give one, or leave this setting out"
    assert not os.listdir()


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"faces": ["a", None]}, "faces"),
        ({"extractor": {"trained_on": ["a", None]}}, "extractor.trained_on"),
        ({"extractor": {"trained_on": None}}, "extractor.trained_on"),
        ({"extractor": {"size": None, "trained_on": ["a"]}, "workers": None}, None),
        ({"nothing": None}, "unrecognized arguments: --nothing=null"),
    ],
)
def test_none_in_a_group_and_in_a_sequence(settings: dict[str, Any], found: str | None) -> None:
    given = {"faces": "f", "checkpoint": "c", "out": "o", **settings}
    if found is None:
        made = parse_config("features", words_of("features", given), exits=False)
        assert (made.extractor.size, made.extractor.trained_on, made.workers) == (None, ("a",), None)
        return
    with pytest.raises(ConfigError, match=f"^{found}"):
        parse_config("features", words_of("features", given), exits=False)


STORES = ["audio_features", "extract", "features", "fuse", "import_features", "predict"]
RETURNED = {
    **{name: lambda out: [out / "v.arrow"] for name in STORES},
    "ablate": lambda out: pa.table({"window": [50]}),
    "cross_validate": lambda out: out / "predictions",
    "submit": lambda out: out,
    "train_static": Run,
    "train_temporal": Run,
    "validate": Report,
}
"""What functions return for results in `out`, apart from `predict_video`, in test_results.py."""


@pytest.mark.parametrize("function", sorted(functions.COMMANDS.keys() - {"check_submission", "predict_video"}))
def test_where_results_go_can_be_said_in_the_file_of_settings(
    function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(name: str, config: Any) -> int:
        config.out.mkdir()
        (config.out / "v.arrow").touch()
        (config.out / "ablation.csv").write_text("window\n50\n")
        return 0

    monkeypatch.setattr("pipelines.api.call.run_config", run)
    (tmp_path / "settings.yaml").write_text(f"out: {tmp_path / 'in_file'}\n")
    given = {name: value for name, value in _required(function).items() if name != "out"}
    found = getattr(abaw, function)(**given, config=tmp_path / "settings.yaml")
    assert found == RETURNED[function](tmp_path / "in_file")
    found = getattr(abaw, function)(**given, config=tmp_path / "settings.yaml", out=tmp_path / "keyword")
    assert found == RETURNED[function](tmp_path / "keyword")


def test_every_type_of_path_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mp4").touch()
    (entry,) = os.scandir(tmp_path)
    for one, several in ((entry, [entry]), (tmp_path / "a.mp4", str(tmp_path / "a.mp4"))):
        made = _config("extract", {"videos": several, "out": one}, monkeypatch)
        assert (made["videos"], made["out"]) == ((str(tmp_path / "a.mp4"),), tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("predict-video", {"videos": "a", "smothing": "box:3"}, "--smothing=box:3. Did you mean '--smoothing'?"),
        ("predict-video", {"videos": "a", "subjects": "some"}, "expected one of main, all; found 'some'"),
        ("features", {"faces": "f"}, "required"),
        ("predict-video", {"videos": "nothing.mp4"}, "nothing.mp4: no such file"),
        ("train-static", {"config": "static_dem"}, "Did you mean"),
    ],
)
def test_faults_are_exceptions_with_the_text_of_the_command(
    name: str, settings: dict[str, Any], expected: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(abaw.AbawError) as fault:
        call(name, None, settings)
    assert expected in str(fault.value) and str(fault.value).count("Did you mean") <= 1
    assert capfd.readouterr() == ("", "")


def test_import_is_quick_and_light() -> None:
    code = (
        "import sys, time; start = time.process_time(); import abaw; took = time.process_time() - start; "
        "assert not {'torch', 'cv2', 'pyarrow', 'numpy'} & set(sys.modules); print(took)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(done.stdout) <= 0.2


def test_names_are_stable_and_found() -> None:
    assert {"predict_video", "predict_faces", "predict_images", "CLASSES", "AbawError"} <= set(abaw.__all__)
    for name in abaw.__all__:
        assert getattr(abaw, name) is not None and name in dir(abaw)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = abaw.nothing  # type: ignore[attr-defined]
    assert set(functions.COMMANDS.values()) <= set(STAGES)


def test_the_stub_is_current() -> None:
    text = (ROOT / "abaw" / "__init__.pyi").read_text(encoding="utf-8")
    assert text == stub(), "run: python -m pipelines.api.stub > abaw/__init__.pyi"


def test_descriptions_are_those_of_the_commands() -> None:
    assert abaw.predict_video.__doc__ is not None and "abaw predict-video" in abaw.predict_video.__doc__
    assert "smoothing: " in abaw.predict_video.__doc__


def test_where_progress_goes(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[str, int, int | None]] = []
    with progress_hook(lambda *news: seen.append(news)) as hook:
        hook("a.mp4", 1, 2)
    assert seen == [("a.mp4", 1, 2)]
    with progress_hook("terminal") as hook:
        hook("a [b].mp4", 1, None)
        hook("a [b].mp4", 2, 2)
    with progress_hook(None) as hook:
        hook("a", 1, 2)
    with pytest.raises(ConfigError, match="expected 'notebook'"), progress_hook("bars"):  # type: ignore[arg-type]
        pass
    assert capsys.readouterr().out == ""
