"""Wrong usage and `--help` are answered before any heavy library is loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from pipelines.cli import STAGES
from tests.video.clips import portraits, write_clip

_HEAVY = ("torch", "torchvision", "cv2", "sklearn", "matplotlib", "insightface", "onnxruntime")
_DRIVER = f"""
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
sys.path.insert(0, {str(Path(__file__).resolve().parents[2])!r})
from pipelines.cli import main
outcomes = []
for words in json.loads(sys.argv[1]):
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        try:
            status = main(words)
        except SystemExit as stop:
            status = stop.code
    loaded = [name for name in {_HEAVY!r} if name in sys.modules]
    outcomes.append({{"status": status, "out": out.getvalue(), "err": err.getvalue(), "loaded": loaded}})
print(json.dumps(outcomes))
"""

# Words of each command with one path, `nothere`, that does not exist.
_WRONG_PATHS = {
    "check-data": "--root nothere",
    "extract": "nothere.mp4 --out o",
    "import-crops": "nothere --out o",
    "export-crops": "nothere --out o",
    "import-images": "--dataset unlabelled --root nothere --out o",
    "import-features": "nothere --faces . --name n --out o",
    "export-features": "nothere --format npz --out o",
    "pretrain": "--faces nothere --out o",
    "probe": "--labelled nothere --scored . --out o",
    "train-static": "--labelled nothere --out o",
    "train-detector": "--photos nothere --teacher . --out o",
    "train-landmarks": "--detector nothere --photos . --teacher . --out o",
    "label-faces": "--faces nothere --checkpoint builtin --out o",
    "features": "--faces nothere --checkpoint builtin --out o",
    "audio-features": "nothere.mp4 --faces . --out o",
    "train-temporal": "--features . --annotations nothere --out o",
    "cross-validate": "--features nothere --annotations . --out o",
    "predict": "--features nothere --checkpoint builtin --out o",
    "export": "--checkpoint nothere",
    "fuse": "nothere . --out o",
    "predict-video": "nothere.mp4",
    "live": "--source 0 --detector nothere.onnx",
    "validate": "--predictions nothere --annotations . --out o",
    "submit": "--predictions . --template nothere --out o",
    "check-submission": "nothere --template .",
    "ablate": "--features . --annotations nothere --out o",
    "bench": "ssl --labelled nothere --scored . --out o",
}
_MORE_WRONG_PATHS = [
    ("import-features", ". --faces nothere --name n --out o"),
    ("export-features", ". --faces nothere --format npz --out o"),
    ("predict", "--features . --checkpoint nothere --out o"),
    ("predict", "--features . --checkpoint nothere.onnx --out o"),
    ("predict-video", ". --checkpoint nothere"),
    ("predict-video", ". --detector nothere.onnx"),
    ("train-static", "--labelled . --init nothere --out o"),
    ("bench", "ssl --labelled . --scored . --init nothere --out o"),
    ("demo", "--detector nothere.onnx"),
]


@dataclass(frozen=True)
class Outcome:
    """What a command line did, and the heavy libraries that were loaded after it and those before it."""

    status: int
    out: str
    err: str
    loaded: list[str]


def _run(commands: list[list[str]], folder: Path) -> list[Outcome]:
    """Command lines, one after another in one new process."""
    words = [sys.executable, "-c", _DRIVER, json.dumps(commands)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=folder, check=True)
    return [Outcome(**each) for each in json.loads(done.stdout)]


def test_every_command_with_inputs_has_a_case() -> None:
    assert set(STAGES) - set(_WRONG_PATHS) == {"doctor", "demo"}, "doctor reads no path, demo makes its own"


def test_a_wrong_path_is_refused_before_a_heavy_library_is_loaded(tmp_path: Path) -> None:
    cases = [[name, *words.split()] for name, words in [*_WRONG_PATHS.items(), *_MORE_WRONG_PATHS]]
    for words, outcome in zip(cases, _run(cases, tmp_path), strict=True):
        assert outcome.err.startswith(f"abaw {words[0]}: error: nothere"), words
        assert (outcome.err.count("\n"), outcome.status, outcome.loaded) == (1, 1, []), words
    assert not list(tmp_path.iterdir())


def test_a_run_folder_in_place_of_a_checkpoint_suggests_its_last(tmp_path: Path) -> None:
    (tmp_path / "run" / "last").mkdir(parents=True)
    (tmp_path / "run" / "last" / "spec.json").write_text("{}")
    (outcome,) = _run([["predict", *["--features", ".", "--checkpoint", "run", "--out", "o"]]], tmp_path)
    assert "run: this is a run folder, not a checkpoint (no spec.json); give run/last" in outcome.err
    assert (outcome.status, outcome.loaded) == (1, [])


def test_the_builtin_models_predict_without_torch(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", portraits(6))
    common = ["predict-video", "clip.mp4", "--detector", "builtin", "--accelerator", "cpu"]
    cases = [[*common, "--out", "plain"], [*common, "--out", "windows", "--temporal", "builtin"]]
    for words, outcome in zip(cases, _run(cases, tmp_path), strict=True):
        assert (outcome.status, outcome.err.count("failed")) == (0, 0), outcome.err
        assert not {"torch", "sklearn", "insightface"}.intersection(outcome.loaded), words
    assert all((tmp_path / out / "clip.csv").exists() for out in ("plain", "windows"))


def test_help_and_a_wrong_flag_load_no_heavy_library(tmp_path: Path) -> None:
    cases = [[name, word] for name in STAGES for word in ("--help", "--no_such_flag")]
    for words, outcome in zip(cases, _run(cases, tmp_path), strict=True):
        assert outcome.loaded == [], words
        assert outcome.status == (0 if words[1] == "--help" else 2), words
        for python in ("typing.", "Literal[", "<class", "Path |", "NoneType"):
            assert python not in outcome.out + outcome.err, words
