"""The commands as functions. A keyword is a flag of the command, with its default; see `abaw COMMAND --help`."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

from docstring_parser import parse_from_object

from abaw.core.config import GIVEN
from abaw.core.errors import AbawError
from abaw.core.object_store import is_remote
from abaw.core.yaml_file import read_yaml
from pipelines.api.call import Called, ProgressChoice, call, called, words_of
from pipelines.api.reading import PathLike
from pipelines.api.results import Report, Run, VideoResult
from pipelines.cli import config_class_of
from pipelines.recipe_files import readable_configs

if TYPE_CHECKING:
    import pyarrow as pa

Function = TypeVar("Function", bound=Callable[..., Any])
COMMANDS: dict[str, str] = {}
"""Name of a function -> its command."""


def command(name: str) -> Callable[[Function], Function]:
    """Give a function the keywords and the description of a command, next to its own."""

    def described(function: Function) -> Function:
        COMMANDS[function.__name__] = name
        function.__signature__ = _signature(name, inspect.signature(function))  # type: ignore[attr-defined]
        function.__doc__ = f"{function.__doc__ or ''}\n\n{description_of(name)}"
        return function

    return described


def _signature(name: str, own: inspect.Signature) -> inspect.Signature:
    """The parameters of a function's own, then the settings of its command, the required ones first."""
    config_class = config_class_of(name)
    types = typing.get_type_hints(config_class)
    settings = []
    for field in dataclasses.fields(config_class):
        if GIVEN in field.metadata or field.name in own.parameters:
            continue
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        is_group = dataclasses.is_dataclass(types[field.name]) or field.default is dataclasses.MISSING
        default = inspect.Parameter.empty if required else None if is_group else field.default
        settings.append(
            inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=types[field.name])
        )
    mine = [one for one in own.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    config = inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation="PathLike | None")
    profile = config.replace(name="profile", annotation="str | None")
    front = [one for one in mine if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    rest = [one for one in mine if one not in front]
    settings.sort(key=lambda one: one.default is not inspect.Parameter.empty)
    return own.replace(parameters=[*front, *settings, config, profile, *rest])


def description_of(name: str) -> str:
    """What a command does, and its settings."""
    described = parse_from_object(config_class_of(name))
    lines = [f"{described.short_description or ''} (the command `abaw {name}`)", "", "Args:"]
    lines += [f"    {one.arg_name}: {' '.join((one.description or '').split())}" for one in described.params]
    lines += [
        "    config: YAML file with settings, or the name of a recipe; keywords override it",
        "    profile: variant of the recipe, such as small, which runs in minutes",
        "    progress: 'notebook', 'terminal', a function of (what, done, total), or None",
    ]
    return "\n".join(lines)


def _stores(done: Called) -> list[Path]:
    """The stores in the folder for results; none for an object store, whose stores have no path."""
    if is_remote(done.out):
        return []
    # Loaded on use: `import abaw` is answered without it.
    from abaw.stores.arrow import find_stores

    return find_stores([done.out])


@command("predict-video")
def predict_video(
    videos: PathLike | Sequence[PathLike],
    *,
    out: PathLike | None = None,
    progress: ProgressChoice = None,
    **settings: Any,
) -> VideoResult:
    """Returns the results as an object; without `out`, here or in `config`, its files exist as long as it does."""
    # Loaded on use: `import abaw` is answered without it.
    from pipelines.predict_video.command import chosen_videos

    keeper = TemporaryDirectory(prefix="abaw_") if out is None and not _file_says("out", settings) else None
    folder = out if keeper is None else keeper.name
    chosen = {} if folder is None else {"out": folder}
    done = call("predict-video", progress, {"videos": videos, **chosen, **settings})
    return VideoResult(done.out, [path.stem for path in chosen_videos(done.config)], keeper)


def _file_says(name: str, settings: Mapping[str, Any]) -> bool:
    """Whether the file of settings among these settings has one of this name."""
    files = readable_configs(words_of("predict-video", {"config": settings.get("config")}))
    found = [read_yaml(file, "not readable as settings") for file in files]
    return any(isinstance(values, dict) and values.get(name) is not None for values in found)


@command("extract")
def extract(videos: PathLike | Sequence[PathLike], *, progress: ProgressChoice = None, **settings: Any) -> list[Path]:
    """Returns the faces stores in `out`."""
    return _stores(call("extract", progress, {"videos": videos, **settings}))


@command("features")
def features(*, progress: ProgressChoice = None, **settings: Any) -> list[Path]:
    """Returns the features stores in `out`."""
    return _stores(call("features", progress, settings))


@command("train-static")
def train_static(*, progress: ProgressChoice = None, **settings: Any) -> Run:
    """Returns the run."""
    return Run(call("train-static", progress, settings).out)


@command("train-temporal")
def train_temporal(*, progress: ProgressChoice = None, **settings: Any) -> Run:
    """Returns the run."""
    return Run(call("train-temporal", progress, settings).out)


@command("predict")
def predict(*, progress: ProgressChoice = None, **settings: Any) -> list[Path]:
    """Returns the predictions stores in `out`."""
    return _stores(call("predict", progress, settings))


@command("validate")
def validate(*, progress: ProgressChoice = None, **settings: Any) -> Report:
    """Returns the report with its numbers."""
    return Report(call("validate", progress, settings).out)


@command("submit")
def submit(*, progress: ProgressChoice = None, **settings: Any) -> Path:
    """Returns the submission, which is checked. Raises AbawError when the check finds a fault."""
    done = called("submit", progress, settings)
    if done.status:
        raise AbawError("; ".join(done.said.results))
    return done.out


@command("check-submission")
def check_submission(file: PathLike, *, progress: ProgressChoice = None, **settings: Any) -> list[str]:
    """Returns a line per fault, errors and warnings; an empty list for a file without any."""
    done = called("check-submission", progress, {"file": file, **settings, "all": True})
    return done.said.results[:-1]  # the last line is the summary


@command("ablate")
def ablate(*, progress: ProgressChoice = None, **settings: Any) -> pa.Table:
    """Returns the table of the report, ablation.csv."""
    # Loaded on use: `import abaw` is answered without it.
    from pyarrow import csv

    done = call("ablate", progress, settings)
    return csv.read_csv(done.out / "ablation.csv")


@command("cross-validate")
def cross_validate(*, progress: ProgressChoice = None, **settings: Any) -> Path:
    """Returns the folder of the out-of-fold predictions."""
    return call("cross-validate", progress, settings).out / "predictions"


@command("fuse")
def fuse(predictions: PathLike | Sequence[PathLike], *, progress: ProgressChoice = None, **settings: Any) -> list[Path]:
    """Returns the fused predictions stores in `out`."""
    return _stores(call("fuse", progress, {"predictions": predictions, **settings}))


@command("audio-features")
def audio_features(
    videos: PathLike | Sequence[PathLike], *, progress: ProgressChoice = None, **settings: Any
) -> list[Path]:
    """Returns the features stores in `out`."""
    return _stores(call("audio-features", progress, {"videos": videos, **settings}))


@command("import-features")
def import_features(
    files: PathLike | Sequence[PathLike], *, progress: ProgressChoice = None, **settings: Any
) -> list[Path]:
    """Returns the features stores in `out`."""
    return _stores(call("import-features", progress, {"files": files, **settings}))
