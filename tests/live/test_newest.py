"""The newest picture of a source: dropped pictures, stalls, sources that are lost and come back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from abaw.core.errors import DataError
from abaw.live import newest as newest_module
from abaw.live.newest import Newest
from abaw.live.sources import Picture, SourceLost


def picture(number: int) -> Picture:
    return Picture(np.full((2, 2, 3), number, np.uint8), float(number))


@dataclass
class Scripted:
    """A source that runs a script, another one each time it is opened."""

    scripts: list[Callable[[], Iterator[Picture]]]
    returns: bool = False
    name: str = "the source"

    def pictures(self) -> Iterator[Picture]:
        return self.scripts.pop(0)()


def numbers(source: Newest) -> list[int]:
    found = []
    try:
        while True:
            taken = source.take(5)
            assert taken is not None
            found.append(int(taken.image[0, 0, 0]))
    except EOFError:
        return found


def test_pictures_that_nobody_took_are_dropped_and_counted() -> None:
    all_there = threading.Event()

    def script() -> Iterator[Picture]:
        yield from map(picture, range(5))
        all_there.set()

    source = Newest(Scripted([script]))
    assert all_there.wait(5)
    assert numbers(source) == [4] and source.dropped == 4


def test_with_every_the_source_waits() -> None:
    source = Newest(Scripted([lambda: map(picture, range(40))]), every=True)
    assert numbers(source) == list(range(40)) and source.dropped == 0


def test_a_stall_is_survived() -> None:
    go_on = threading.Event()

    def script() -> Iterator[Picture]:
        yield picture(1)
        assert go_on.wait(5)
        yield picture(2)

    source = Newest(Scripted([script]), every=True)
    first = source.take(5)
    assert first is not None and first.due == 1
    assert source.take(0.05) is None
    go_on.set()
    assert numbers(source) == [2]


def test_a_camera_that_was_lost_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest_module, "_REOPEN_S", 0.01)
    lines: list[str] = []

    def breaks() -> Iterator[Picture]:
        yield picture(1)
        raise SourceLost("the source gives no more pictures")

    def not_yet() -> Iterator[Picture]:
        raise DataError("the source cannot be opened")
        yield

    def again() -> Iterator[Picture]:
        yield picture(2)

    source = Newest(Scripted([breaks, not_yet, again], returns=True), every=True, report=lines.append)
    assert numbers(source) == [1, 2]
    assert lines == ["the source gives no more pictures; trying again", "the source is back"]


def test_a_source_that_cannot_be_opened_is_an_error() -> None:
    def refused() -> Iterator[Picture]:
        raise DataError("camera 7: cannot be opened")
        yield

    with pytest.raises(DataError, match="camera 7"):
        Newest(Scripted([refused], returns=True)).take(5)


def test_closing_ends_the_thread() -> None:
    def endless() -> Iterator[Picture]:
        while True:
            yield picture(0)
            time.sleep(0.001)

    before = threading.active_count()
    source = Newest(Scripted([endless]))
    assert source.take(5) is not None
    source.close()
    with pytest.raises(EOFError):
        while True:
            source.take(5)
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before
