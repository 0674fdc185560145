"""What the spec of a checkpoint says about its origin."""

from __future__ import annotations

from typing import Any

import pytest

from abaw.stores.spec import trained_names

_START = {"weights": "0123", "training": {"faces": ["c"], "init": {"training": {"unlabelled_faces": ["d"]}}}}


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ({}, ""),
        ({"videos": ["a"], "backbone_videos": ["b"], "scored_on": ["x"]}, "ab"),
        ({"faces": ["a"], "init": None}, "a"),
        ({"faces": ["a"], "unlabelled_faces": ["b"], "init": _START}, "abcd"),
        ({"faces": ["a"], "labelled_by": ["e"]}, "ae"),
    ],
)
def test_a_checkpoint_has_learned_from_all_that_led_to_it(training: dict[str, Any], expected: str) -> None:
    assert trained_names(training) == set(expected)
