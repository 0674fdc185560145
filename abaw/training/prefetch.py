"""Batches prepared ahead of the step that takes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def prefetched(make: Callable[[int], Item], steps: range, ahead: int) -> Iterator[tuple[int, Item]]:
    """(step, make(step)) for each step, in order; up to `ahead` later ones are being made in threads meanwhile.

    `make` must depend on the step alone. An error of `make` is raised at its step.
    """
    if ahead == 0:
        for step in steps:
            yield step, make(step)
        return
    executor = ThreadPoolExecutor(ahead, thread_name_prefix="batch")
    waiting: deque[tuple[int, Future[Item]]] = deque()
    try:
        for step in steps:
            waiting.append((step, executor.submit(make, step)))
            if len(waiting) > ahead:
                yield _first(waiting)
        while waiting:
            yield _first(waiting)
    finally:
        executor.shutdown(cancel_futures=True)


def _first(waiting: deque[tuple[int, Future[Item]]]) -> tuple[int, Item]:
    step, future = waiting.popleft()
    return step, future.result()
