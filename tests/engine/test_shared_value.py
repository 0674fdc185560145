"""Shared values: the same in every worker, held in memory once."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from abaw.engine.local import LocalEngine
from abaw.engine.shared_value import Shared
from tests.engine.functions import Total


def test_shared_arrays_are_the_same_in_every_worker_and_written_by_none(tmp_path: Path) -> None:
    values = {"odd": np.arange(1, 100, 2), "none": np.zeros(0, dtype=np.int64), "column": np.arange(7)[::-1]}
    shared = Shared(values, tmp_path)
    assert not list(tmp_path.iterdir()), "the file has no name, so that none can be left behind"
    for workers in (1, 2):
        names = ["odd", "none", "column", "odd", "column"]
        results = LocalEngine([None] * workers, threads=1).map(Total(shared), names)
        assert sorted((each.item, each.outcome) for each in results) == sorted(
            (name, int(values[name].sum())) for name in names
        )
    assert all(np.array_equal(shared.get()[name], values[name]) for name in values)


def test_arrays_are_not_copied_into_what_a_worker_is_sent(tmp_path: Path) -> None:
    shared = Shared({"features": np.zeros((1000, 100))}, tmp_path)
    assert len(pickle.dumps({key: value for key, value in vars(shared).items() if key != "_file"})) < 1000
