"""Calls whose every exception becomes an outcome, so that one item cannot stop the others."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import TypeVar

from abaw.core.errors import AbawError, UnexpectedError
from abaw.core.reading import denied

Outcome = TypeVar("Outcome")


def attempt(call: Callable[[], Outcome]) -> Outcome | AbawError:
    """What `call` returns, or the error that it raises; one that is not an AbawError comes as an UnexpectedError.

    KeyboardInterrupt alone is passed on.
    """
    try:
        return call()
    except KeyboardInterrupt:
        raise
    except AbawError as error:
        return error
    except PermissionError as error:
        return denied(error) or unexpected(error)
    except BaseException as error:  # SystemExit too: a library must not end the command
        return unexpected(error)


def unexpected(error: BaseException) -> UnexpectedError:
    """The error in one line, with its traceback."""
    line = " ".join(f"{type(error).__name__}: {error}".split())
    return UnexpectedError(line, "".join(traceback.format_exception(error)))
