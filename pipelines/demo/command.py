"""`abaw demo`: runs all stages on a data set that it renders, with the commands that a user would type."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from abaw.core.errors import AbawError
from abaw.demo.size import DemoSize
from abaw.engine.resources import default_workers
from pipelines.console import progress, result, say
from pipelines.demo.places import STATIC, TEMPORAL, TEMPORAL_SOUND, Places
from pipelines.engine_settings import EngineSettings, engine_for
from pipelines.inputs import DetectorName
from pipelines.recipe_files import recipe

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from abaw.demo.dataset import DemoPaths


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """Render a small data set with the layout of Aff-Wild2 and run every stage on it.

    Args:
        out: folder for everything; an unfinished demo in it is continued
        seed: seed of the data and of all training runs
        detector: face detector of `abaw extract`; builtin needs no download
        workers: processes for rendering and extracting; 0 means one per usable core
        size: how much is rendered

    Examples:
        abaw demo
        abaw demo --out work/demo1 --seed 1 --workers 4
    """

    out: Path = Path("work/demo")
    seed: int = 0
    detector: DetectorName = "builtin"
    workers: int = 0
    size: DemoSize = field(default_factory=DemoSize)


def run(config: DemoConfig) -> int:
    """Return exit status 0. Raises AbawError, which names the stage, when a stage fails."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.artifacts import read_json, write_json

    begin = time.monotonic()
    places = Places(config.out)
    seconds: dict[str, float] = {}
    for number, (name, stage) in enumerate(steps := _steps(config, places), start=1):
        say(f"[{number}/{len(steps)}] {name}")
        start = time.monotonic()
        status = stage()
        if status:
            raise AbawError(f"the demo stopped at '{name}': see the lines above; run it again to continue from there")
        seconds[name] = round(time.monotonic() - start, 1)
    metrics = read_json(places.report / "metrics.json")
    summary = {
        "static_macro_f1": _macro_f1(metrics, STATIC),
        "temporal_macro_f1": _macro_f1(metrics, TEMPORAL),
        "temporal_sound_macro_f1": _macro_f1(metrics, TEMPORAL_SOUND),
        "submission": str(places.submission),
        "submission_checked": True,
        "report": str(places.report / "index.html"),
        "seconds": round(time.monotonic() - begin, 1),
        "seconds_by_stage": seconds,
        "seed": config.seed,
        "detector": config.detector,
    }
    write_json(places.root / "summary.json", summary)
    result(f"static macro F1    {summary['static_macro_f1']:.3f}   (one frame at a time, validation videos)")
    result(f"temporal macro F1  {summary['temporal_macro_f1']:.3f}   (chance: about 0.1)")
    result(f"with sound         {summary['temporal_sound_macro_f1']:.3f}   (temporal model of picture and sound)")
    result(f"submission         {summary['submission']}   (checked: every row of the template, no fault)")
    result(f"report             {summary['report']}")
    result(f"summary            {places.root / 'summary.json'}   ({summary['seconds']:.0f} s)")
    return 0


def _steps(config: DemoConfig, places: Places) -> list[tuple[str, Callable[[], int]]]:
    """Every stage: its name, and a function that runs its command line and returns the exit status."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.demo.dataset import demo_paths

    data = demo_paths(places.data)
    seed = ["--train.seed", str(config.seed)]
    return [
        ("render the data set", lambda: _render(config, places)),
        ("extract faces from the videos", lambda: _extract(config, places, data)),
        ("import the labelled stills", lambda: _import_stills(config, places, data)),
        (
            "train the static model on the stills",
            lambda: _command(
                "train-static",
                "--config",
                recipe("static_demo"),
                *seed,
                "--labelled",
                places.stills,
                "--out",
                places.static_run,
            ),
        ),
        (
            "compute features of every frame",
            lambda: _command(
                "features",
                "--faces",
                places.faces,
                "--checkpoint",
                places.static_run / "last",
                "--out",
                places.features,
            ),
        ),
        ("compute features of the sound", lambda: _sound(config, places, data)),
        (
            "train the temporal model on the training videos",
            lambda: _train_temporal(places.temporal_run, "temporal_demo", [places.features], data, seed),
        ),
        (
            "train the temporal model of picture and sound",
            lambda: _train_temporal(
                places.temporal_sound_run, "temporal_demo_sound", [places.features, places.sound], data, seed
            ),
        ),
        ("predict with the static model", lambda: _predict(places, STATIC, places.static_run)),
        ("predict with the temporal model", lambda: _predict(places, TEMPORAL, places.temporal_run)),
        (
            "predict with the temporal model of picture and sound",
            lambda: _predict(places, TEMPORAL_SOUND, places.temporal_sound_run, places.sound),
        ),
        (
            "validate all on the validation videos",
            lambda: _command(
                "validate",
                "--predictions",
                *(places.predictions(model) for model in (STATIC, TEMPORAL, TEMPORAL_SOUND)),
                "--annotations",
                data.validation_annotations,
                "--out",
                places.report,
            ),
        ),
        (
            "write the submission for the test videos",
            lambda: _command(
                "submit",
                "--predictions",
                places.predictions(TEMPORAL),
                "--template",
                data.template,
                "--out",
                places.submission,
            ),
        ),
        (
            "check the submission",
            lambda: _command("check-submission", places.submission, "--template", data.template),
        ),
    ]


def _command(name: str, *words: str | Path) -> int:
    """Print a command and run it as the command line does."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from pipelines.cli import dispatch

    texts = [str(word) for word in words]
    say(f"$ abaw {shlex.join([name, *texts])}")
    return dispatch([name, *texts])


def _render(config: DemoConfig, places: Places) -> int:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.artifacts import write_bytes
    from abaw.demo.dataset import make_demo_dataset
    from abaw.demo.sheet import expression_sheet

    size = config.size
    videos = size.train_videos + size.validation_videos + size.test_videos
    stills = size.labelled_stills + size.unlabelled_stills
    engine = engine_for(EngineSettings(workers=_workers(config)), videos + stills)
    with progress("rendering", "videos and sittings") as hook:
        make_demo_dataset(places.data, size, config.seed, hook, engine)
    picture = places.root / "expressions.jpg"
    if not picture.exists():
        write_bytes(picture, _jpeg(expression_sheet(config.seed)))
    say(f"{videos} videos and {stills} stills in {places.data}; see {picture}")
    return 0


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    # Loaded on use: `--help` and wrong usage are answered without it.
    import cv2

    return bytes(cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])[1])


def _extract(config: DemoConfig, places: Places, data: DemoPaths) -> int:
    names: Sequence[str | Path] = (data.train_annotations, data.validation_annotations, data.template)
    return _command(
        "extract",
        data.videos,
        "--out",
        places.faces,
        "--detector",
        config.detector,
        "--subjects",
        *names,
        "--workers",
        str(_workers(config)),
    )


def _import_stills(config: DemoConfig, places: Places, data: DemoPaths) -> int:
    return _command(
        "import-images",
        "--dataset",
        "folder_per_class",
        "--root",
        data.labelled_stills,
        "--detector",
        config.detector,
        "--out",
        places.stills,
    )


def _sound(config: DemoConfig, places: Places, data: DemoPaths) -> int:
    return _command(
        "audio-features",
        data.videos,
        "--faces",
        places.faces,
        "--out",
        places.sound,
        "--workers",
        str(_workers(config)),
    )


def _train_temporal(run: Path, config: str, features: Sequence[Path], data: DemoPaths, seed: Sequence[str]) -> int:
    return _command(
        "train-temporal",
        "--config",
        recipe(config),
        *seed,
        "--features",
        *features,
        "--annotations",
        data.train_annotations,
        "--out",
        run,
    )


def _predict(places: Places, model: str, run_folder: Path, *more: Path) -> int:
    return _command(
        "predict",
        "--features",
        places.features,
        *more,
        "--checkpoint",
        run_folder / "last",
        "--out",
        places.predictions(model),
    )


def _workers(config: DemoConfig) -> int:
    return config.workers or default_workers()


def _macro_f1(metrics: Mapping[str, Any], model: str) -> float:
    """Macro F1 over all annotated frames, from metrics.json."""
    return next(float(entry["macro_f1"]) for entry in metrics["results"] if entry["name"] == model)
