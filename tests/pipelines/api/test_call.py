"""Commands called from Python: keywords become the same settings as flags, and faults become exceptions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import abaw
from abaw.core.errors import ConfigError
from pipelines.api import functions
from pipelines.api.call import call, progress_hook, words_of
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
