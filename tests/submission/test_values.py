"""The values of rows; and what is written passes the check, for every edition with one row per frame."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.inference.decode import Decoded
from abaw.protocol.editions import edition
from abaw.protocol.template import Template, VideoList
from abaw.submission.check import check_submission
from abaw.submission.fault import FaultList
from abaw.submission.folder import check_folder
from abaw.submission.numbers import shape_of
from abaw.submission.row_checks import row_check
from abaw.submission.values import frame_values
from abaw.submission.write import write_folder, write_submission
from tests.submission.samples import EDITIONS

MTL = edition("abaw7_mtl")


def decoded(
    labels: list[int],
    valence_arousal: list[list[float]] | None = None,
    action_units: NDArray[np.float32] | None = None,
) -> Decoded:
    probs = np.eye(8, dtype=np.float32)[np.clip(labels, 0, 7)]
    pairs = None if valence_arousal is None else np.array(valence_arousal, np.float32)
    return Decoded(np.array(labels, np.int8), probs, pairs, action_units)


def random_decoded(num_frames: int, rng: np.random.Generator) -> Decoded:
    probs = rng.dirichlet(np.full(8, 0.3), num_frames).astype(np.float32)
    pairs = rng.normal(0, 1, (num_frames, 2)).astype(np.float32)
    return Decoded(probs.argmax(axis=1).astype(np.int8), probs, pairs, rng.random((num_frames, 12)).astype(np.float32))


def test_one_class_per_frame() -> None:
    assert frame_values("v", decoded([7, 0, 3]), edition("abaw10")) == ["7", "0", "3"]


@pytest.mark.parametrize("label", [-1, 8])
@pytest.mark.parametrize("name", ["abaw3", "abaw6"])
def test_an_invalid_class_is_not_written(name: str, label: int) -> None:
    with pytest.raises(DataError, match=r"v: labels must be in 0\.\.7"):
        frame_values("v", decoded([0, label]), edition(name))


def test_multi_task_rows() -> None:
    units = np.zeros((3, 12), np.float32)
    units[0, 0] = 0.5
    units[0, 11] = 0.9
    units[1] = 0.49999
    units[2] = 1
    found = frame_values("v", decoded([3, 0, 7], [[0.12341, -0.00001], [1.25, -7], [-1, 1]], units), MTL)
    assert found == [
        "0.1234,0.0000,3,1,0,0,0,0,0,0,0,0,0,0,1",
        "1.0000,-1.0000,0,0,0,0,0,0,0,0,0,0,0,0,0",
        "-1.0000,1.0000,7,1,1,1,1,1,1,1,1,1,1,1,1",
    ]


def test_multi_task_rows_need_all_tasks() -> None:
    units = np.zeros((1, 12), np.float32)
    with pytest.raises(DataError, match="v: the predictions have no valence and arousal, which abaw7_mtl needs; train"):
        frame_values("v", decoded([0], None, units), MTL)
    with pytest.raises(DataError, match="no action units.*--tasks expression valence_arousal action_units"):
        frame_values("v", decoded([0], [[0, 0]], None), MTL)
    with pytest.raises(DataError, match="not finite"):
        frame_values("v", decoded([0], [[0, float("nan")]], units), MTL)


def test_rows_of_one_task() -> None:
    units = np.zeros((2, 12), np.float32)
    units[0, [0, 11]] = 0.5, 0.9
    made = decoded([3, 0], [[0.12341, -0.00001], [1.25, -7]], units)
    assert frame_values("v", made, edition("abaw8_va")) == ["0.1234,0.0000", "1.0000,-1.0000"]
    assert frame_values("v", made, edition("abaw10_au")) == ["1,0,0,0,0,0,0,0,0,0,0,1", "0,0,0,0,0,0,0,0,0,0,0,0"]


@pytest.mark.parametrize(("name", "task"), [("abaw8_va", "valence_arousal"), ("abaw10_au", "action_units")])
def test_rows_of_one_task_need_its_predictions(name: str, task: str) -> None:
    with pytest.raises(DataError, match=rf"which {name} needs; train with `--tasks {task}` and predict again"):
        frame_values("v", decoded([0]), edition(name))


LENGTHS = st.dictionaries(
    st.text(st.characters(blacklist_characters="/,\\", blacklist_categories=["C", "Z"]), min_size=1, max_size=6),
    st.integers(1, 12),
    min_size=1,
    max_size=5,
)


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from([name for name in EDITIONS if edition(name).layout == "rows"]),
    LENGTHS,
    st.randoms(use_true_random=False),
    st.integers(0, 3),
)
def test_what_is_written_has_no_faults(name: str, lengths: dict[str, int], random: Random, cut: int) -> None:
    chosen = edition(name)
    locations = [f"{video}/{frame:05d}.jpg" for video, count in lengths.items() for frame in range(1, count + 1)]
    random.shuffle(locations)
    template = Template(Path("t.txt"), chosen.header, locations)
    rng = np.random.default_rng(len(locations))
    values = {
        video: frame_values(video, random_decoded(max(1, count - cut), rng), chosen) for video, count in lengths.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.txt"
        write_submission(path, template, chosen, values)
        lines = path.read_text(encoding="utf-8").splitlines()
        faults = check_submission(path, template, chosen)
    assert lines[0] == chosen.header
    assert [line.partition(",")[0] for line in lines[1:]] == locations
    assert {fault.kind for fault in faults} <= {"one-class", "constant"}


@settings(max_examples=40, deadline=None)
@given(LENGTHS, st.integers(0, 3), st.booleans())
def test_what_is_written_as_a_folder_has_no_faults(lengths: dict[str, int], cut: int, known: bool) -> None:
    lengths = {name: count for name, count in lengths.items() if name not in (".", "..")} or {"a": 1}
    chosen = edition("abaw3")
    rng = np.random.default_rng(sum(lengths.values()))
    values = {
        video: frame_values(video, random_decoded(max(1, count - cut), rng), chosen) for video, count in lengths.items()
    }
    videos = VideoList(Path("t.txt"), lengths if known else dict.fromkeys(lengths))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "s"
        written = write_folder(out, videos, chosen, values)
        due = videos.with_frames({video: len(rows) for video, rows in values.items()})
        faults = check_folder(out, due, chosen)
    assert {fault.kind for fault in faults} <= {"one-class"}
    assert written.num_rows == sum(lengths.values()) if known else sum(map(len, values.values()))


@pytest.mark.parametrize("name", ["abaw10_va", "abaw6"])
def test_fields_of_one_shape_have_the_same_faults(name: str) -> None:
    """All texts of up to six characters: of one shape, one is parsed for all."""
    kinds_of: dict[str, set[tuple[str, ...]]] = {}
    for length in range(1, 7):
        for characters in itertools.product("0159.-", repeat=length):
            text = "".join(characters)
            for value in (text, f"+{text}", f"{text}e1") if length < 5 else (text,):
                shape = shape_of(value)
                if shape:
                    faults, check = FaultList(), row_check(edition(name))
                    check.read([value] * check.num_values, 1, faults)
                    kinds_of.setdefault(shape, set()).add(faults.kinds_on(1))
    assert len(kinds_of) > 1000 and {len(kinds) for kinds in kinds_of.values()} == {1}
    assert shape_of("0.5,-0.25,7") == shape_of("1.0,-0.1,7") != shape_of("0.5,0.25,7")
    assert shape_of("0.5,0.5,7") != shape_of("0.5,1.5,7") == shape_of("0.5,2.5,7")
    assert shape_of("1e5") == ""
