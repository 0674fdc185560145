"""Batches prepared ahead of the step that uses them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def prefetched(make: Callable[[int], Item], steps: range, ahead: int) -> Iterator[tuple[int, Item]]:
    """(step, make(step)) for each step, in order, while threads make up to `ahead` later ones.

    `make` must depend only on the step. Its errors are raised at their step.
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
