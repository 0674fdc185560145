"""The interface of engines: apply one function to many items and return the results as they are ready."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from abaw.core.errors import AbawError
from abaw.core.progress import Progress

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
_Item = TypeVar("_Item", contravariant=True)
_Outcome = TypeVar("_Outcome", covariant=True)


class Function(Protocol[_Item, _Outcome]):
    """What an engine applies to items. It is pickled and sent to each worker once; items and outcomes are pickled too.

    An AbawError that it raises for an item becomes the outcome of that item; any other exception becomes an
    UnexpectedError. Neither stops the other items.
    """

    def set_up(self, threads: int | None) -> Callable[[_Item, Progress], _Outcome]:
        """Called once per worker, before its first item: load models here. Returns what is applied to every item, with
        a hook for the item's progress.

        threads: how many processor threads the worker may use; None for the defaults of the libraries.
        """
        ...


class ItemProgress(Protocol):
    """Called with the index of an item, its work done so far and in total (None: unknown)."""

    def __call__(self, index: int, done: int, total: int | None) -> None: ...


def silent(index: int, done: int, total: int | None) -> None:
    """Reports nothing."""


@dataclass(frozen=True, slots=True)
class ItemResult(Generic[Item, Outcome]):
    """The result of one item: what the function returned, or why it failed. index: of the item among all items."""

    index: int
    item: Item
    outcome: Outcome | AbawError
    seconds: float


class Engine(Protocol):
    """Runs a function on items, somewhere."""

    def map(
        self, function: Function[Item, Outcome], items: Sequence[Item], progress: ItemProgress = silent
    ) -> Iterator[ItemResult[Item, Outcome]]:
        """One result per item, as they are ready; items are begun in the order given.

        Raises the error of `set_up`, which ends everything. Leaving the iterator early stops all work.
        """
        ...


def in_order(results: Iterable[ItemResult[Item, Outcome]]) -> Iterator[ItemResult[Item, Outcome]]:
    """The results in the order of their items; those that are ready too early wait in memory."""
    waiting: dict[int, ItemResult[Item, Outcome]] = {}
    due = 0
    for result in results:
        waiting[result.index] = result
        while due in waiting:
            yield waiting.pop(due)
            due += 1
