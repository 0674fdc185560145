"""The newest picture of a source: older ones that nobody took are dropped, so that results never lag."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from abaw.core.errors import AbawError
from abaw.live.sources import Picture, Source, SourceLost

_REOPEN_S = 1.0


class Newest:
    """Reads a source in a thread. dropped: pictures that were replaced by a newer one before they were taken.

    every: nothing is dropped; the source waits. report: gets a line when the source is lost and when it is back.
    """

    def __init__(self, source: Source, every: bool = False, report: Callable[[str], None] = lambda line: None) -> None:
        self.dropped = 0
        self._source, self._every, self._report = source, every, report
        self._picture: Picture | None = None
        self._error: BaseException | None = None
        self._ended = self._closed = False
        self._changed = threading.Condition()
        # A daemon: a camera that hangs in its driver must not keep the process alive.
        threading.Thread(target=self._run, name="abaw-live", daemon=True).start()

    def take(self, timeout_s: float) -> Picture | None:
        """The newest picture, each only once; None when none came in time.

        Raises EOFError at the end of the source and after `close`, and the source's own DataError when it could not be
        opened.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._picture is not None or self._ended or self._closed, timeout_s)
            picture, self._picture = self._picture, None
            self._changed.notify_all()
            if picture is None and (self._ended or self._closed):
                if self._error is not None:
                    raise self._error
                raise EOFError
            return picture

    def close(self) -> None:
        """Stop reading; does not wait for a source that hangs."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            self._read_again_and_again()
        except BaseException as error:
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _read_again_and_again(self) -> None:
        opened, lost = False, False
        while not self._closed:
            try:
                for picture in self._source.pictures():
                    if lost:
                        self._report(f"{self._source.name} is back")
                    opened, lost = True, False
                    if not self._put(picture):
                        return
                return
            except SourceLost as reason:
                if not self._source.returns:
                    return
                self._report(f"{reason}; trying again")
            except AbawError:
                if not opened:
                    raise
            lost = True
            time.sleep(_REOPEN_S)

    def _put(self, picture: Picture) -> bool:
        """False when nobody wants more pictures."""
        with self._changed:
            if self._every:
                self._changed.wait_for(lambda: self._picture is None or self._closed)
            self.dropped += self._picture is not None
            self._picture = picture
            self._changed.notify_all()
            return not self._closed
