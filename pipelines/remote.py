"""Commands on object stores: each worker copies what its item needs, and copies its results back.

The command runs on a mirror (see `abaw.core.mirror`), whose files are stand-ins until an item needs them.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from abaw.core.errors import AbawError, DataError
from abaw.core.ledger import Made, is_ledger
from abaw.core.mirror import NOTHING_REMOTE, Mirror, new_mirror
from abaw.core.object_store import as_url, is_remote
from abaw.core.progress import Progress
from abaw.engine.engine import Function, Item, Outcome
from abaw.engine.error_log import ERROR_LOG
from abaw.protocol.listed_videos import ListedVideo, is_list, read_list
from pipelines.inputs import Remote, marked

Config = TypeVar("Config")


@contextmanager
def mirrored(config: Config) -> Iterator[tuple[Config, Mirror]]:
    """The config with local paths for remote ones, and the mirror that they are in. Nothing is left on the disk.

    config: with a folder `out`. The record of finished items and the error log there are copied back at the end.
    Raises DataError for an input that does not exist or cannot be read, ConfigError when this installation has no
    object stores.
    """
    fields = {field: getattr(config, field) for field in marked(config, Remote)}
    if not any(_needs_mirror(Path(value)) for values in fields.values() for value in _each(values)):
        yield config, NOTHING_REMOTE
        return
    with new_mirror() as mirror, _urls_in_errors(mirror):
        local = {field: _mirrored(mirror, field, values) for field, values in fields.items()}
        try:
            yield dataclasses.replace(config, **local), mirror  # type: ignore[type-var]
        finally:
            if mirror.url(local["out"]):
                mirror.push(_own_files(local["out"]))


def with_local_paths(mirror: Mirror, videos: Sequence[ListedVideo]) -> list[ListedVideo]:
    """The videos with local paths for the remote ones of lists."""
    found = [dataclasses.replace(video, path=mirror.local(video.path)) for video in videos]
    mirror.look_up([video.path for video, before in zip(found, videos, strict=True) if is_remote(before.path)])
    return found


def staged(function: Function[Item, Outcome], mirror: Mirror, files: Callable[[Item], Made]) -> Function[Item, Outcome]:
    """The function, which finds the content of remote files. files: what an item reads and writes."""
    return function if mirror is NOTHING_REMOTE else _Staged(function, mirror, files)


@dataclasses.dataclass(frozen=True, slots=True)
class _Staged(Generic[Item, Outcome]):
    function: Function[Item, Outcome]
    mirror: Mirror
    files: Callable[[Item], Made]

    def set_up(self, threads: int | None) -> Callable[[Item, Progress], Outcome]:
        return partial(self._apply, self.function.set_up(threads))

    def _apply(self, apply: Callable[[Item, Progress], Outcome], item: Item, progress: Progress) -> Outcome:
        """Results that exist already are fetched as well: whether they are of this input, the function decides."""
        made = self.files(item)
        try:
            with _urls_in_errors(self.mirror):
                self.mirror.fetch(made.inputs)
                self.mirror.fetch(made.outputs, missing_ok=True)
                before = {path: _state(path) for path in made.outputs}
                outcome = apply(item, progress)
                self.mirror.push([path for path in made.outputs if _state(path) != before[path]])
                return outcome
        finally:
            self.mirror.drop([*made.inputs, *made.outputs])


def _state(path: Path) -> tuple[int, int] | None:
    return (path.stat().st_mtime_ns, path.stat().st_ino) if path.exists() else None


def _needs_mirror(path: Path) -> bool:
    return is_remote(path) or (is_list(path) and any(is_remote(row.path) for row in read_list(path)))


def _each(values: Any) -> tuple[Any, ...]:
    return values if isinstance(values, tuple) else (values,)


def _mirrored(mirror: Mirror, field: str, values: Any) -> Any:
    """The values of a field with stand-ins for what is at the remote ones."""
    local = tuple(type(value)(_shown(mirror, field, value)) for value in _each(values))
    return local if isinstance(values, tuple) else local[0]


def _shown(mirror: Mirror, field: str, value: Path | str) -> Path | str:
    if not is_remote(value):
        return value
    shown = mirror.show(as_url(value))
    path = mirror.local(Path(value))
    if field == "out":
        path.mkdir(parents=True, exist_ok=True)
        mirror.fetch(_own_files(path))
    elif not shown:
        raise DataError(f"{as_url(value)}: no such object, and none below it ({field})")
    elif is_list(path):
        mirror.fetch([path])
    return path


def _own_files(out: Path) -> list[Path]:
    """What a command writes into its folder besides the results of its items."""
    return [out / name for name in os.listdir(out) if name == ERROR_LOG or is_ledger(name)]


@contextmanager
def _urls_in_errors(mirror: Mirror) -> Iterator[None]:
    try:
        yield
    except AbawError as error:
        error.args = tuple(mirror.with_urls(part) if isinstance(part, str) else part for part in error.args)
        raise
