"""Work a few items ahead in a thread, so that decoding and detection overlap."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

Item = TypeVar("Item")

_POLL_S = 0.1


class Stalled(Exception):
    """No item came within the time allowed."""


class _End(Generic[Item]):
    """The last thing in the queue: the source ended, by itself (None) or with an error."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ahead(source: Iterable[Item], depth: int, timeout_s: float | None = None) -> Iterator[Item]:
    """The items of `source`, made in a thread at most `depth` items before they are asked for.

    An error of the source is raised here, after the items before it. Leaving early stops the thread.
    Raises Stalled when an item takes longer than `timeout_s`; the thread, which nothing can stop then, is left behind.
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
    except BaseException as caught:  # handed over to the thread that asks for the items
        error = caught
    _put(queue, _End(error), stop)


def _put(queue: Queue[Item | _End[Item]], item: Item | _End[Item], stop: threading.Event) -> bool:
    """False when the other side has left."""
    while not stop.is_set():
        try:
            queue.put(item, timeout=_POLL_S)
            return True
        except Full:
            continue
    return False
