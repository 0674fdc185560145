"""The whole chain on a small demo data set, then the trained models on a real clip."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

import abaw
from abaw.demo.dataset import demo_paths
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.protocol.template import read_template
from abaw.stores.arrow import find_stores
from abaw.stores.faces import open_faces
from abaw.stores.predictions import read_predictions
from pipelines.cli import main

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))  # scripts, not a package
import recipes

SMALL = ["--size.train_videos", "8", "--size.validation_videos", "3", "--size.test_videos", "3"]
SMALL += ["--size.frames_per_video", "75", "--size.segments_per_video", "3"]
SMALL += ["--size.labelled_stills", "480", "--size.unlabelled_stills", "16"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("a folder with ünïcode") / "demo"
    assert main(["demo", "--out", str(out), *SMALL]) == 0
    return out


def test_summary_lists_scores_and_paths(demo: Path) -> None:
    summary = json.loads((demo / "summary.json").read_text())
    chance = 1 / len(EXPRESSION_CLASSES)
    assert summary["static_macro_f1"] > 2 * chance
    assert summary["temporal_macro_f1"] > chance
    assert summary["temporal_sound_macro_f1"] > chance
    assert Path(summary["submission"]).is_file()
    assert Path(summary["report"]).is_file()
    assert summary["seconds"] > 0


def test_submission_answers_every_row_of_the_template(demo: Path) -> None:
    template = demo_paths(demo / "data").template
    rows = (demo / "predictions.txt").read_text().splitlines()
    assert rows[0] == template.read_text().splitlines()[0]
    assert [row.rpartition(",")[0] for row in rows[1:]] == read_template(template).locations
    assert {int(row.rpartition(",")[2]) for row in rows[1:]} <= set(range(8))
    assert main(["check-submission", str(demo / "predictions.txt"), "--template", str(template)]) == 0


def test_two_people_have_stores_of_their_own(demo: Path) -> None:
    names = {path.stem for path in find_stores([demo / "faces"])}
    pairs = {name.removesuffix("_left") for name in names if name.endswith("_left")}
    assert pairs == {name.removesuffix("_right") for name in names if name.endswith("_right")}
    assert len(pairs) == 3
    for pair in pairs:
        left, right = (_centres(demo / "faces" / f"{pair}_{side}.arrow") for side in ("left", "right"))
        assert np.mean(left) < np.mean(right)


def _centres(path: Path) -> list[float]:
    boxes = open_faces(path).store.table.column("box_xyxy").to_pylist()
    return [(box[0] + box[2]) / 2 for box in boxes if box is not None]


def test_a_second_run_makes_nothing_again(demo: Path) -> None:
    kept = ("data", "faces", "stills", "features", "sound", "predictions")
    kept += ("static/last", "temporal/last", "temporal_sound/last")
    files = [file for part in kept for file in (demo / part).rglob("*") if file.suffix not in (".txt", "")]
    before = {file: file.stat().st_mtime_ns for file in files}
    assert main(["demo", "--out", str(demo), *SMALL]) == 0
    assert {file: file.stat().st_mtime_ns for file in files} == before


def test_the_models_predict_on_a_real_clip(demo: Path, shared_data: Path, tmp_path: Path) -> None:
    weights = shared_data / "models" / "yunet_n_dynamic.onnx"
    clip = shared_data / "videos" / "single_face.mp4"
    faces, features, out = (str(tmp_path / name) for name in ("faces", "features", "predictions"))
    assert main(["extract", str(clip), "--detector", str(weights), "--out", faces]) == 0
    assert main(["features", "--faces", faces, "--checkpoint", str(demo / "static/last"), "--out", features]) == 0
    for model in ("static", "temporal"):
        words = ["predict", "--features", features, "--checkpoint", str(demo / model / "last")]
        assert main([*words, "--out", f"{out}/{model}"]) == 0
        predictions = read_predictions(Path(out, model, "single_face.arrow"))
        assert len(predictions) == 72
        assert np.allclose(predictions.probs[predictions.predicted].sum(1), 1, atol=1e-4)


def test_functions_give_what_the_commands_gave(demo: Path, tmp_path: Path) -> None:
    """The stages that the demo ran as commands, again as functions: equal files."""
    stores = abaw.features(faces=[demo / "faces"], checkpoint=demo / "static/last", out=tmp_path / "features")
    assert [path.name for path in stores] == [path.name for path in find_stores([demo / "features"])]
    for path in stores:
        assert path.read_bytes() == (demo / "features" / path.name).read_bytes()
    abaw.predict(features=[demo / "features"], checkpoint=[demo / "temporal/last"], out=tmp_path / "predictions")
    by_command = find_stores([demo / "predictions/temporal"])
    assert by_command
    for path in by_command:
        assert path.read_bytes() == (tmp_path / "predictions" / path.name).read_bytes()
    paths = demo_paths(demo / "data")
    written = abaw.submit(predictions=tmp_path / "predictions", template=paths.template, out=tmp_path / "rows.txt")
    assert abaw.check_submission(written, template=paths.template) == []
    (tmp_path / "short.txt").write_text("".join(written.read_text().splitlines(keepends=True)[:-1]))
    faults = abaw.check_submission(tmp_path / "short.txt", template=paths.template)
    assert len(faults) == 1 and "missing" in faults[0]
    report = abaw.validate(
        predictions=[demo / "predictions/temporal"],
        annotations=demo / "data/annotations",
        out=tmp_path / "report",
        draws=100,
    )
    assert report.page.is_file() and report.numbers


@pytest.mark.parametrize("name", ["one-video", "submission", "new-method", "new-extractor"])
def test_tutorials_run_on_the_demo(demo: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[1]
    for key, value in {"ABAW_DEMO": demo, "ABAW_OUT": tmp_path, "PYTHONPATH": root}.items():
        monkeypatch.setenv(key, str(value))
    notebook = nbformat.read(root / "docs" / "tutorials" / f"{name}.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()


def test_the_recipes_of_the_paper_and_of_this_project_run_from_end_to_end(demo: Path, tmp_path: Path) -> None:
    """Every phase with the small profile, a few steps each."""
    words = [str(demo), "--seeds", "0", "--steps", "8", "--out", str(tmp_path)]
    table = recipes.main(words)
    assert [line.split()[1] for line in table.splitlines()[2:]] == ["paper", "recommended"]
    for name in ("paper", "recommended"):
        submission = tmp_path / name / "seed0/predictions.txt"
        assert main(["check-submission", str(submission), "--template", str(demo_paths(demo / "data").template)]) == 0
        scores = json.loads((tmp_path / name / "seed0/scores.json").read_text())
        assert {"static", "temporal", "smoothed"} < set(scores) and all(value >= 0 for value in scores.values())
    assert (tmp_path / "recommended/seed0/backbone/last/spec.json").is_file()
    assert recipes.main(words) == table  # what is finished is kept
