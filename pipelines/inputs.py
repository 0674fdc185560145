"""What a command reads, checked before it loads any heavy library: paths that exist, checkpoints that have a spec.

The fields of a config say it by their type: `faces: tuple[InputPath, ...]`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from abaw.core.errors import ConfigError, DataError
from abaw.core.object_store import as_url, is_remote
from abaw.core.reading import require_regular
from abaw.extractors.registry import CHECKPOINT, require_head, split_name
from abaw.stores.sources import chosen_sources
from abaw.stores.spec import is_exported, load_spec
from abaw.weights import NAME

Mark = TypeVar("Mark")


@dataclasses.dataclass(frozen=True, slots=True)
class Input:
    """Marks a field whose values a command reads. require: raises DataError for a value that cannot be read."""

    require: Callable[[Path], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Remote:
    """Marks a field whose values may be in an object store (see pipelines/remote.py)."""


def _require_path(path: Path) -> None:
    require_regular(path)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")


def _require_checkpoint(path: Path) -> None:
    require_head(path)
    if is_exported(path):
        _require_path(path)
    if path != Path(NAME):
        load_spec(path)


def _require_extractor(name: Path) -> None:
    """Files that an extractor's name gives; whether it can be opened is found on opening it."""
    kind, argument = split_name(str(name))
    if kind == CHECKPOINT:
        _require_checkpoint(Path(argument))
    elif kind in ("onnx", "python"):
        _require_path(Path(argument))


def _require_weights(name: Path) -> None:
    """Detectors are named, or given as the path of their weights."""
    if name.suffix == ".onnx":
        _require_path(name)


InputPath = Annotated[Path, Input(_require_path)]
InputText = Annotated[str, Input(_require_path)]
StoresPath = Annotated[Path, Input(_require_path), Remote()]
VideoText = Annotated[str, Input(_require_path), Remote()]
OutPath = Annotated[Path, Remote()]
"""The same, and the folder for results, in an object store as well."""
CheckpointPath = Annotated[Path, Input(_require_checkpoint)]
"""The folder of a checkpoint, a file of `abaw export`, or builtin."""
ExtractorName = Annotated[str, Input(_require_extractor)]
"""The same, or a network of another project: onnx:FILE, timm:NAME, hf:NAME_OR_FOLDER, python:FILE."""
DetectorName = Annotated[str, Input(_require_weights)]


def require_inputs(config: Any) -> None:
    """Raise DataError for the first value of a config that cannot be read, with its path and its setting.

    Raises ConfigError for one in an object store where local files are needed.
    """
    _require_local(config, marked(config, Remote))
    for name, marks in marked(config, Input).items():
        for each in _values(config, name):
            for mark in marks:
                if each is None or is_remote(each):  # whether it exists is found on listing it
                    continue
                try:
                    mark.require(Path(each))
                except DataError as error:
                    raise type(error)(f"{error} ({name})") from error


def _require_local(config: Any, remote: Collection[str]) -> None:
    for field in dataclasses.fields(config):
        for each in _values(config, field.name):
            if dataclasses.is_dataclass(each):
                _require_local(each, ())
            elif isinstance(each, str | Path) and is_remote(each) and field.name not in remote:
                raise ConfigError(
                    f"--{field.name} {as_url(each)}: needs local files; copy them, or mount the bucket. The videos of "
                    "extract and the stores of extract, features and predict may be in an object store"
                )


def _values(config: Any, name: str) -> tuple[Any, ...]:
    value = getattr(config, name)
    return value if isinstance(value, tuple) else (value,)


def marked(config: Any, kind: type[Mark]) -> dict[str, list[Mark]]:
    """The fields of a config whose types have marks of a kind, with these marks."""
    types = get_type_hints(type(config), include_extras=True)
    found = {field.name: [*_marks(types[field.name], kind)] for field in dataclasses.fields(config)}
    return {name: marks for name, marks in found.items() if marks}


def require_sources(features: Sequence[Path], choice: str | None) -> None:
    """Raise ConfigError when a chosen source is none of the folders of feature stores."""
    folders = [path if path.is_dir() else path.parent for path in features]
    chosen_sources(choice, [folder.resolve().name for folder in folders])


def short_names(paths: Sequence[Path]) -> list[str]:
    """A word for each path: as many of its last parts as tell the paths apart, joined by `_`."""
    parts = [[part for part in path.resolve().parts if part != path.anchor] for path in paths]
    for count in range(1, max(map(len, parts), default=0) + 1):
        names = ["_".join(each[-count:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    return ["_".join(each) for each in parts]


def _marks(kind: Any, wanted: type[Mark]) -> Iterator[Mark]:
    """The marks of a type, those of its parts included."""
    if get_origin(kind) is Annotated:
        yield from (each for each in kind.__metadata__ if isinstance(each, wanted))
    for part in get_args(kind):
        yield from _marks(part, wanted)
