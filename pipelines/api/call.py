"""A command called from Python: its flags as keywords, its words in an exception, its progress to a hook."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from abaw.core.errors import ConfigError, DataError
from abaw.core.text import in_line
from pipelines.cli import STAGES, config_class_of, parse_config, run_config
from pipelines.console import Listener, listening

ProgressHook = Callable[[str, int, int | None], None]
"""(what, done, total): the total is None where it is not known."""
ProgressChoice = Literal["notebook", "terminal"] | ProgressHook | None


@dataclass(frozen=True, slots=True)
class Called:
    """A command that was run: its settings, its exit status, and what it said."""

    config: Any
    status: int
    said: Listener

    @property
    def out(self) -> Path:
        """Where its results are, as a keyword or a file of settings says."""
        return Path(self.config.out)


def call(name: str, progress: ProgressChoice, settings: Mapping[str, Any]) -> Called:
    """Run a command. It prints nothing.

    settings: values of its flags; groups of settings as mappings (`train={"steps": 100}`). Raises the command's
    AbawError; when items failed, DataError that names them, after the others are done.
    """
    done = called(name, progress, settings)
    if done.said.failures:
        raise DataError("; ".join(map(in_line, done.said.failures)))
    return done


def called(name: str, progress: ProgressChoice, settings: Mapping[str, Any]) -> Called:
    """Run a command, whose failed items are no error."""
    with progress_hook(progress) as hook:
        listener = Listener(hook)
        with listening(listener):
            config = parse_config(name, words_of(name, settings), exits=False)
            status = run_config(name, config)
    return Called(config, status, listener)


def words_of(name: str, settings: Mapping[str, Any]) -> list[str]:
    """The command line for these settings. Raises ConfigError for None where a setting cannot be without a value."""
    positional = STAGES[name].positional
    types = get_type_hints(config_class_of(name))
    words: list[str] = []
    for key, value in settings.items():
        kind = types.get(key)
        if key == positional:
            words = [*_texts(key, value, kind), *words]
        elif key in ("config", "profile") and value is None:
            continue
        elif get_origin(kind) is Mapping:
            words += _pairs(key, value or {})
        else:
            words += _flags(key, value, kind)
    return words


def _pairs(key: str, values: Mapping[str, Any]) -> list[str]:
    """`--vary window=100,200`"""
    pairs = [f"{name}={','.join(_texts(name, value))}" for name, value in values.items()]
    return [f"--{key}", *pairs] if pairs else []


def _flags(key: str, value: Any, kind: Any) -> list[str]:
    """kind: the type of the setting, None for one that the parser has to know or refuse."""
    is_group = is_dataclass(kind)
    if value is None and is_group:
        return []
    if isinstance(value, bool):
        return [f"--{key}" if value else f"--no-{key}"]
    if isinstance(value, Mapping):
        types = get_type_hints(kind) if is_group else {}
        return [word for name, inner in value.items() for word in _flags(f"{key}.{name}", inner, types.get(name))]
    texts = _texts(key, value, kind)
    if _is_several(value):
        return [f"--{key}", *texts] if texts else []
    return [f"--{key}={texts[0]}"]


def _texts(key: str, value: Any, kind: Any = None) -> list[str]:
    """The words for one value or several. Raises ConfigError for None unless the type, where it is known, has it."""
    values = list(value) if _is_several(value) else [value]
    if kind is not None and type(None) not in get_args(kind) and any(each is None for each in values):
        raise ConfigError(f"{key}: expected a value, found None; give one, or leave this setting out")
    return [_text(each) for each in values]


def _is_several(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | os.PathLike)


def _text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    return str(value).lower() if isinstance(value, bool) else str(value)


@contextmanager
def progress_hook(choice: ProgressChoice) -> Iterator[ProgressHook]:
    """Where progress goes: bars in a notebook or on a terminal, a function, or nowhere."""
    if choice is None:
        yield lambda what, done, total: None
    elif callable(choice):
        yield choice
    elif choice in ("notebook", "terminal"):
        # Loaded on use: most calls show no progress.
        from rich.console import Console
        from rich.progress import Progress, TaskID

        in_notebook = choice == "notebook"
        console = Console(stderr=not in_notebook, force_jupyter=in_notebook)
        with Progress(console=console, transient=True) as bars:
            tasks: dict[str, TaskID] = {}

            def hook(what: str, done: int, total: int | None) -> None:
                if what not in tasks:
                    tasks[what] = bars.add_task(what.replace("[", r"\["), total=total)
                bars.update(tasks[what], completed=done, total=total)

            yield hook
    else:
        raise ConfigError(f"progress {choice!r}: expected 'notebook', 'terminal', a function or None")
