"""A command called from Python: its flags as keywords, its words in an exception, its progress to a hook."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, get_origin, get_type_hints

from abaw.core.errors import ConfigError, DataError
from abaw.core.text import in_line
from pipelines.cli import STAGES, config_class_of, parse_config, run_config
from pipelines.console import Listener, listening

ProgressHook = Callable[[str, int, int | None], None]
"""(what, done, total): the total is None where it is not known."""
ProgressChoice = Literal["notebook", "terminal"] | ProgressHook | None


def call(name: str, progress: ProgressChoice, settings: Mapping[str, Any]) -> Listener:
    """Run a command and return what it said. It prints nothing.

    settings: values of its flags; groups of settings as mappings (`train={"steps": 100}`). Raises the command's
    AbawError; when items failed, DataError that names them, after the others are done.
    """
    listener = called(name, progress, settings)[1]
    if listener.failures:
        raise DataError("; ".join(map(in_line, listener.failures)))
    return listener


def called(name: str, progress: ProgressChoice, settings: Mapping[str, Any]) -> tuple[int, Listener]:
    """The exit status of a command, and what it said."""
    with progress_hook(progress) as hook:
        listener = Listener(hook)
        with listening(listener):
            config = parse_config(name, words_of(name, settings), exits=False)
            status = run_config(name, config)
    return status, listener


def words_of(name: str, settings: Mapping[str, Any]) -> list[str]:
    """The command line for these settings."""
    positional = STAGES[name].positional
    types = get_type_hints(config_class_of(name))
    words: list[str] = []
    for key, value in settings.items():
        if key == positional:
            words = [*_texts(value), *words]
        else:
            words += _pairs(key, value) if get_origin(types.get(key)) is Mapping else _flags(key, value)
    return words


def _pairs(key: str, values: Mapping[str, Any]) -> list[str]:
    """`--vary window=100,200`"""
    pairs = [f"{name}={','.join(_texts(value))}" for name, value in values.items()]
    return [f"--{key}", *pairs] if pairs else []


def _flags(key: str, value: Any) -> Iterable[str]:
    if isinstance(value, bool):
        return [f"--{key}" if value else f"--no-{key}"]
    if isinstance(value, Mapping):
        return [word for name, inner in value.items() for word in _flags(f"{key}.{name}", inner)]
    if isinstance(value, list | tuple):
        return [f"--{key}", *map(_text, value)] if value else []
    return [f"--{key}={_text(value)}"]


def _texts(value: Any) -> list[str]:
    return [_text(each) for each in (value if isinstance(value, list | tuple) else [value])]


def _text(value: Any) -> str:
    if value is None:
        return "null"
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
