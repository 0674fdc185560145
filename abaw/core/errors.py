"""Errors for the user: each says what is wrong, where, what was expected and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class AbawError(Exception):
    """A fault that the user can act on. The command line prints only the message and exits with `exit_status`."""

    exit_status = 1


class DataError(AbawError):
    """A file, store or folder with wrong contents (exit status 1)."""


class ConfigError(AbawError):
    """Settings that do not fit together, or a name that does not exist (exit status 2)."""

    exit_status = 2


class UnexpectedError(AbawError):
    """An exception that nobody foresaw, while one of several items was processed. traceback: where it was raised."""

    def __init__(self, message: str, traceback: str) -> None:
        super().__init__(message, traceback)
        self.message, self.traceback = message, traceback

    def __str__(self) -> str:
        return self.message


def nearest(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the closest known name, or an empty string when none is close."""
    matches = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean '{matches[0]}'?" if matches else ""
