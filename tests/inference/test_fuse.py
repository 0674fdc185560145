"""The weighted mean of predictions, by definition and by its properties."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from abaw.core.artifacts import value_hash
from abaw.core.errors import DataError
from abaw.inference.fuse import Choice, Member, equal_weights, fingerprint, fuse, fusion_lines, weights_of
from abaw.protocol.classes import EXPRESSION_CLASSES, TASKS
from abaw.stores.predictions import Predictions


def predictions(seed: int, num_frames: int = 6, gaps: bool = True, meta: dict[str, Any] | None = None) -> Predictions:
    rng = np.random.default_rng(seed)
    predicted = rng.random(num_frames) < 0.7 if gaps else np.ones(num_frames, bool)
    keep = predicted[:, None]
    return Predictions(
        name="v",
        classes=EXPRESSION_CLASSES,
        frames=np.arange(1, num_frames + 1, dtype=np.int32),
        valid=rng.random(num_frames) < 0.5,
        predicted=predicted,
        probs=(rng.dirichlet(np.ones(8), num_frames) * keep).astype(np.float32),
        meta={"checkpoints": [f"c{seed}"], "trained_on": [f"t{seed}"], **(meta or {})},
        valence_arousal=(rng.uniform(-1, 1, (num_frames, 2)) * keep).astype(np.float32),
        action_units=(rng.random((num_frames, 12)) * keep).astype(np.float32),
    )


def member(seed: int, **options: Any) -> Member:
    return Member(f"m{seed}", f"hash{seed}", predictions(seed, **options))


def same(a: NDArray[Any] | None, b: NDArray[Any] | None) -> bool:
    return a is not None and b is not None and bool(np.allclose(a, b, atol=1e-6))


def brute_force(members: list[Member], weights: dict[str, tuple[float, ...]], task: str) -> list[list[float]]:
    rows = []
    for frame in range(len(members[0].predictions)):
        voters = [index for index, each in enumerate(members) if each.predictions.predicted[frame]]
        total = sum(weights[task][index] for index in voters)
        shares = {index: weights[task][index] / total if total else 1 / len(voters) for index in voters}
        values = [each.predictions.by_task[task][frame] for each in members]
        rows.append([float(sum(shares[i] * values[i][column] for i in voters)) for column in range(len(values[0]))])
    return rows


@given(st.integers(0, 10_000), st.integers(2, 4))
def test_each_value_is_the_weighted_mean_of_those_who_predict_the_frame(seed: int, num_members: int) -> None:
    members = [member(seed + index) for index in range(num_members)]
    rng = np.random.default_rng(seed)
    weights = {task: tuple(rng.dirichlet(np.ones(num_members)).tolist()) for task in TASKS}
    weights["expression"] = (1.0, *[0.0] * (num_members - 1))  # others decide where the first has no prediction
    fused = fuse(members, weights, Choice())
    for task in TASKS:
        assert same(fused.by_task[task], np.array(brute_force(members, weights, task)))
    every = [each.predictions for each in members]
    assert fused.predicted.tolist() == np.any([each.predicted for each in every], axis=0).tolist()
    assert fused.valid.tolist() == np.any([each.valid for each in every], axis=0).tolist()
    assert np.allclose(fused.probs.sum(axis=1), fused.predicted, atol=1e-6)


@given(st.integers(0, 10_000), st.integers(2, 5))
def test_equal_weights_of_identical_inputs_change_nothing(seed: int, num_members: int) -> None:
    members = [replace(member(seed), store_hash=str(index)) for index in range(num_members)]
    fused = fuse(members, equal_weights(TASKS, num_members), Choice())
    for task in TASKS:
        assert np.array_equal(fused.by_task[task], members[0].predictions.by_task[task])


@given(st.integers(0, 10_000), st.permutations(range(4)))
def test_the_order_of_the_inputs_does_not_matter(seed: int, order: list[int]) -> None:
    members = [member(seed + index) for index in range(4)]
    weights = dict.fromkeys(TASKS, (0.4, 0.3, 0.2, 0.1))
    shuffled = {task: tuple(weights[task][index] for index in order) for task in TASKS}
    a, b = fuse(members, weights, Choice()), fuse([members[index] for index in order], shuffled, Choice())
    assert all(same(a.by_task[task], b.by_task[task]) for task in TASKS)
    assert a.meta["trained_on"] == b.meta["trained_on"] == sorted(f"t{seed + index}" for index in range(4))


def test_weights_of_some_members_sum_to_one() -> None:
    weights = {"expression": (0.5, 0.3, 0.2), "action_units": (1.0, 0.0, 0.0)}
    assert weights_of([0, 2], weights)["expression"] == pytest.approx((5 / 7, 2 / 7))
    assert weights_of([1, 2], weights) == {"expression": pytest.approx((0.6, 0.4)), "action_units": (0.5, 0.5)}
    assert weights_of([0, 1, 2], weights) == weights


def test_the_record_names_every_member() -> None:
    members = [member(1, meta={"backbone": "b1", "selected_on": ["s"]}), member(2, meta={"backbone": "b2"})]
    choice = Choice("oof", ("x", "y"), {"expression": "macro F1: nested 0.5"})
    meta = fuse(members, dict.fromkeys(TASKS, (0.75, 0.25)), choice).meta
    assert meta["checkpoints"] == ["c1", "c2"] and meta["trained_on"] == ["t1", "t2"]
    assert (meta["selected_on"], meta["weights_chosen_on"]) == (["s"], ["x", "y"])
    assert [each["store"] for each in meta["fusion"]["members"]] == ["hash1", "hash2"]
    lines = fusion_lines(meta)
    assert lines[0] == "arithmetic mean of 2 members, weights fitted out of fold"
    assert lines[1].startswith("m1 (store hash1): expression 0.750, ")
    assert lines[-1] == "expression: macro F1: nested 0.5"
    assert fusion_lines(members[0].predictions.meta) == []
    again = fuse([Member("f", "h", replace(predictions(1), meta=meta)), member(3)], equal_weights(TASKS, 2), Choice())
    assert again.meta["weights_chosen_on"] == ["x", "y"], "a fused member's record is kept"
    assert again.meta["fusion"]["members"][0]["fusion"] == meta["fusion"]


def test_the_fingerprint_covers_what_the_weights_were_fitted_to() -> None:
    members, weights = [("a", "1"), ("b", "2")], {"expression": (1.0, 0.0)}
    choices = [
        Choice("oof", videos, {"expression": score})
        for videos, score in ((("x",), "nested 0.5"), (("y",), "nested 0.5"), (("x",), "nested 0.6"))
    ]
    assert len({fingerprint(members, weights, choice) for choice in [Choice(), *choices]}) == 4
    assert fingerprint(members, weights, choices[0]) == fingerprint(members, weights, replace(choices[0]))
    earlier = value_hash([["a", "1"], ["b", "2"], {"expression": [1.0, 0.0]}, "equal"])
    assert fingerprint(members, weights, Choice()) == earlier, "stores of earlier versions are kept"


def test_the_expected_class_shares_are_averaged_where_all_members_say_theirs() -> None:
    members = [member(index, meta={"class_shares": [index, *[1.0] * 7]}) for index in (1, 2)]
    weights = dict.fromkeys(TASKS, (0.75, 0.25))
    assert fuse(members, weights, Choice()).class_shares == pytest.approx((1.25, *[1.0] * 7))
    assert fuse([members[0], member(3)], weights, Choice()).class_shares is None


def test_a_member_of_unknown_training_makes_that_of_the_fusion_unknown() -> None:
    unknown = Member("u", "h", replace(predictions(1), meta={}))
    assert "trained_on" not in fuse([unknown, member(2)], equal_weights(TASKS, 2), Choice()).meta


OTHER_ORDER = (EXPRESSION_CLASSES[1], EXPRESSION_CLASSES[0], *EXPRESSION_CLASSES[2:])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        pytest.param(member(1), "m0 and m1 hold the same store", id="the same store"),
        pytest.param(
            member(1, num_frames=5), r"the frames differ: m0 has 6 \(1 to 6\); m1 has 5 \(1 to 5\)", id="frames"
        ),
        pytest.param(
            replace(member(1), predictions=replace(predictions(1), classes=OTHER_ORDER)),
            "the classes differ",
            id="classes",
        ),
        pytest.param(
            replace(member(1), predictions=replace(predictions(1), action_units=None)), "the tasks differ", id="tasks"
        ),
    ],
)
def test_members_that_do_not_fit(other: Member, message: str, request: pytest.FixtureRequest) -> None:
    if "same" in request.node.name:
        other = replace(other, store_hash="hash0")
    with pytest.raises(DataError, match=message):
        fuse([member(0), other], equal_weights(TASKS, 2), Choice())
