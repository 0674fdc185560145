"""A smoothing written to a file and read again; files that are none."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from abaw.core.artifacts import write_json
from abaw.core.errors import DataError
from abaw.sequence.hmm import count_transitions
from abaw.sequence.smooth import Smoothing, parse_smoothing
from abaw.sequence.smoothing_file import read_smoothing, smoothing_plain, write_smoothing

CLASSES = ("a", "b", "c")
CHAIN = count_transitions([np.repeat([0, 1, 2], 20)], 3, fps=25.0)


@pytest.mark.parametrize(
    "smoothing",
    [
        parse_smoothing("none"),
        parse_smoothing("gaussian:0.2s").biased([0.0, 1.0, -1.0]),
        parse_smoothing("viterbi:0.08", CHAIN).biased([0.0, 0.5, 0.25]),
        parse_smoothing("forward_backward:0.08", count_transitions([np.repeat([0, 1, 2], 20)], 3)),
    ],
    ids=str,
)
def test_what_is_read_decodes_as_what_was_written(smoothing: Smoothing, tmp_path: Path) -> None:
    write_smoothing(tmp_path / "s.json", smoothing, CLASSES, chosen_on="these")
    found = read_smoothing(tmp_path / "s.json", CLASSES)
    assert (str(found), found.class_bias) == (str(smoothing), smoothing.class_bias)
    probs = np.random.default_rng(0).dirichlet(np.ones(3), 50).astype(np.float32)
    np.testing.assert_array_equal(found.at(30)(probs), smoothing.at(30)(probs))


@pytest.mark.parametrize(
    ("chosen_on", "counted_on"), [((), ()), (("v_left", "w"), ("t",)), (None, None)], ids=["none", "some", "unknown"]
)
def test_the_videos_on_which_it_was_chosen_are_kept(
    chosen_on: tuple[str, ...] | None, counted_on: tuple[str, ...] | None, tmp_path: Path
) -> None:
    smoothing = replace(parse_smoothing("viterbi:0.1", CHAIN), chosen_on=chosen_on, counted_on=counted_on)
    write_smoothing(tmp_path / "s.json", smoothing, CLASSES)
    found = read_smoothing(tmp_path / "s.json", CLASSES)
    assert (found.chosen_on, found.counted_on) == (chosen_on, counted_on)


@pytest.mark.parametrize(
    ("facts", "chosen_on", "counted_on"),
    [
        ({"chosen_on": "labels/Validation_Set"}, None, None),
        ({"chosen_on": None}, (), None),
        ({}, (), None),
        ({"chosen_on_videos": ["v", 1], "counted_on_videos": "v"}, None, None),
    ],
    ids=["chosen", "not chosen", "by hand", "no names"],
)
def test_a_file_that_does_not_name_the_videos(
    facts: dict[str, Any], chosen_on: tuple[str, ...] | None, counted_on: tuple[str, ...] | None, tmp_path: Path
) -> None:
    plain = smoothing_plain(parse_smoothing("viterbi:0.1", CHAIN), CLASSES, **facts)
    write_json(tmp_path / "s.json", plain)
    found = read_smoothing(tmp_path / "s.json", CLASSES)
    assert (found.chosen_on, found.counted_on) == (chosen_on, counted_on)


def _changed(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda plain: {**plain, **changes}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_changed(smoothing="bax:3"), "unknown smoothing"),
        (_changed(smoothing=3), "expected a text"),
        (_changed(transitions=None), "needs to know how classes follow"),
        (_changed(class_bias=[0.0, 1.0]), "for the classes a, b, c"),
        (_changed(class_bias=["x"]), "expected a number"),
        (_changed(classes=["a", "b"]), "for the classes a, b"),
        (_changed(transitions={"initial": [1.0], "matrix": [[1.0], [1.0, 2.0]]}), "differ in length"),
        (_changed(transitions={"initial": [0.5, 0.5], "matrix": [[0.5, 0.5], [2.0, -1.0]]}), "probabilities above 0"),
        (_changed(transitions={"initial": [0.5, 0.5], "matrix": [[0.5, 0.5]] * 2}), "for the classes"),
        (_changed(other=1), "unknown key"),
        (lambda plain: [plain], "expected an object"),
    ],
)
def test_a_file_that_is_no_smoothing_is_refused(change: Callable[[Any], Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    write_smoothing(path, parse_smoothing("viterbi:0.1", CHAIN), CLASSES)
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(DataError, match=message) as error:
        read_smoothing(path, CLASSES)
    assert str(path) in str(error.value)
