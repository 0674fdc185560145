"""Reading a few items ahead in a thread: decoding and detection overlap."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

Item = TypeVar("Item")

_POLL_S = 0.1


class Stalled(Exception):
    """No item was produced in time."""


class _End(Generic[Item]):
    """The last element of the queue: the source has ended, normally (None) or with an error."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ahead(source: Iterable[Item], depth: int, timeout_s: float | None = None) -> Iterator[Item]:
    """The items of `source`, produced by a thread at most `depth` items ahead.

    An error of the source is raised here, after the items before it. Closing the iterator early stops the thread.
    Raises Stalled if an item takes longer than `timeout_s`; nothing can stop the thread then, so it is abandoned.
    """
    queue: Queue[Item | _End[Item]] = Queue(maxsize=depth)
    stop = threading.Event()
    thread = threading.Thread(target=_fill, args=(source, queue, stop), name="abaw-ahead", daemon=True)
    thread.start()
    stalled = False
    try:
        while True:
            try:
                item = queue.get(timeout=timeout_s)
            except Empty:
                stalled = True
                raise Stalled from None
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stop.set()
        if not stalled:
            thread.join()


def _fill(source: Iterable[Item], queue: Queue[Item | _End[Item]], stop: threading.Event) -> None:
    error: BaseException | None = None
    try:
        for item in source:
            if not _put(queue, item, stop):
                return
    except BaseException as caught:  # passed on to the thread that consumes the items
        error = caught
    _put(queue, _End(error), stop)


def _put(queue: Queue[Item | _End[Item]], item: Item | _End[Item], stop: threading.Event) -> bool:
    """False if the consumer has stopped."""
    while not stop.is_set():
        try:
            queue.put(item, timeout=_POLL_S)
            return True
        except Full:
            continue
    return False
