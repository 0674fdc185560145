"""The predictions of several models for one video -> their weighted mean per frame, with the record of all members.

Shapes: M members, T time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.core.artifacts import provenance, value_hash
from abaw.core.errors import DataError
from abaw.core.text import listed
from abaw.stores.predictions import Predictions

Weights = Mapping[str, tuple[float, ...]]
"""Of each task, M numbers >= 0 that sum to 1."""

_RECORD = "fusion"


@dataclass(frozen=True, slots=True)
class Member:
    """The predictions of one member for a video. name: of the input; store_hash: of the store's file."""

    name: str
    store_hash: str
    predictions: Predictions


@dataclass(frozen=True, slots=True)
class Choice:
    """How weights were chosen.

    method: equal or oof; fitted_on: the videos whose annotations the weights were fitted to; scores: what the report of
    the fit says, by task, for whoever reads the predictions.
    """

    method: str = "equal"
    fitted_on: tuple[str, ...] = ()
    scores: Mapping[str, str] = field(default_factory=dict)


def equal_weights(tasks: Iterable[str], num_members: int) -> dict[str, tuple[float, ...]]:
    return dict.fromkeys(tasks, _equal(num_members))


def _equal(num_members: int) -> tuple[float, ...]:
    return (1 / num_members,) * num_members


def weights_of(members: Sequence[int], weights: Weights) -> Weights:
    """The weights of some members, by index, scaled to sum to 1; equal ones if all are 0."""
    chosen = {task: np.asarray(each)[list(members)] for task, each in weights.items()}
    return {
        task: tuple((each / each.sum()).tolist()) if each.any() else _equal(len(each)) for task, each in chosen.items()
    }


def require_alike(members: Sequence[Member]) -> None:
    """Raise DataError unless all members have the same tasks, classes in the same order and frames, and no two are the
    same store."""
    first, *others = members
    seen = {first.store_hash: first.name}
    for other in others:
        if other.store_hash in seen:
            raise DataError(f"{seen[other.store_hash]} and {other.name} hold the same store; give each model once")
        seen[other.store_hash] = other.name
        for what, ours, theirs in (
            ("tasks", list(first.predictions.by_task), list(other.predictions.by_task)),
            ("classes", list(first.predictions.classes), list(other.predictions.classes)),
        ):
            if ours != theirs:
                raise DataError(
                    f"the {what} differ: {first.name} has {listed(ours, 12)}; {other.name} has {listed(theirs, 12)}; "
                    "fuse predictions of the same kind"
                )
        if not np.array_equal(first.predictions.frames, other.predictions.frames):
            raise DataError(
                f"the frames differ: {first.name} has {_frames(first)}; {other.name} has {_frames(other)}; predict "
                "from the same faces"
            )


def _frames(member: Member) -> str:
    frames = member.predictions.frames
    return f"{len(frames)} ({frames[0]} to {frames[-1]})" if len(frames) else "none"


def fuse(members: Sequence[Member], weights: Weights, choice: Choice) -> Predictions:
    """The weighted arithmetic mean per frame of probabilities, valence and arousal.

    A frame is predicted where any member predicts it, from those that do: their weights are scaled to sum to 1, and
    count alike if all are 0. It shows a face where any member's faces show one. Raises DataError for members that do
    not fit together (`require_alike`) or have other tasks than the weights.
    """
    require_alike(members)
    all_predictions = [member.predictions for member in members]
    first = all_predictions[0]
    if list(first.by_task) != list(weights):
        raise DataError(f"expected predictions of {listed(list(weights))}, found {listed(list(first.by_task))}")
    votes = np.stack([each.predicted for each in all_predictions])
    fused = {
        task: _mean([each.by_task[task] for each in all_predictions], votes, np.asarray(weights[task]))
        for task in first.by_task
    }
    return Predictions(
        name=first.name,
        classes=first.classes,
        frames=first.frames,
        valid=np.any([each.valid for each in all_predictions], axis=0),
        predicted=np.any(votes, axis=0),
        probs=fused.get("expression", first.probs),
        meta=_facts(members, weights, choice),
        valence_arousal=fused.get("valence_arousal"),
        action_units=fused.get("action_units"),
    )


def _mean(
    values: Sequence[NDArray[np.float32]], votes: NDArray[np.bool_], weights: NDArray[np.float64]
) -> NDArray[np.float32]:
    """values: M arrays (T, N); votes: (M, T), which frames a member predicts; weights: (M,). Zero without a vote."""
    shares = votes * weights[:, None]
    shares = np.where(shares.sum(axis=0) > 0, shares, votes)
    shares = shares / np.maximum(shares.sum(axis=0), np.finfo(np.float64).tiny)
    total = sum(share[:, None] * each for share, each in zip(shares, values, strict=True))
    return np.asarray(total, dtype=np.float32)


def fingerprint(members: Sequence[tuple[str, str]], weights: Weights, choice: Choice) -> str:
    """Identifies the inputs of one fused store, the weights and how they were chosen.

    members: name and hash of the store of each.
    """
    # Nothing is added where nothing was fitted, so that stores of earlier versions stay.
    fit = [list(choice.fitted_on), dict(choice.scores)] if choice.fitted_on else []
    return value_hash([*map(list, members), {task: list(each) for task, each in weights.items()}, choice.method, *fit])


def _facts(members: Sequence[Member], weights: Weights, choice: Choice) -> Mapping[str, Any]:
    """Provenance: each member with its weights and hashes, and what the members together were trained and chosen on."""
    metas = [member.predictions.meta for member in members]
    trained = {"trained_on": _union(metas, "trained_on")} if all("trained_on" in meta for meta in metas) else {}
    earlier = _union(metas, "weights_chosen_on")
    return provenance(
        checkpoints=_in_order(metas, "checkpoints"),
        backbone=listed(list(dict.fromkeys(str(meta["backbone"]) for meta in metas if "backbone" in meta)), len(metas)),
        **trained,
        selected_on=_union(metas, "selected_on"),
        weights_chosen_on=sorted({*choice.fitted_on, *earlier}),
        class_shares=_class_shares(members, weights),
        fps=next((meta["fps"] for meta in metas if meta.get("fps") is not None), None),
        fingerprint=fingerprint([(member.name, member.store_hash) for member in members], weights, choice),
        **{
            _RECORD: {
                "mean": "arithmetic",
                "weights": choice.method,
                "scores": dict(choice.scores),
                "members": [_record(member, index, weights) for index, member in enumerate(members)],
            }
        },
    )


def _class_shares(members: Sequence[Member], weights: Weights) -> list[float] | None:
    """The weighted mean of the class shares that the members expect, None when one does not say."""
    shares = [member.predictions.class_shares for member in members]
    known = [each for each in shares if each is not None]
    if len(known) < len(shares):
        return None
    mean: list[float] = np.average(known, axis=0, weights=weights["expression"]).tolist()
    return mean


def _record(member: Member, index: int, weights: Weights) -> dict[str, Any]:
    kept = ("checkpoints", "backbone", _RECORD)
    return {
        "name": member.name,
        "store": member.store_hash,
        "weights": {task: weights[task][index] for task in member.predictions.by_task},
        **{key: member.predictions.meta[key] for key in kept if key in member.predictions.meta},
    }


def _union(metas: Sequence[Mapping[str, Any]], key: str) -> list[str]:
    return sorted({name for meta in metas for name in meta.get(key, ())})


def _in_order(metas: Sequence[Mapping[str, Any]], key: str) -> list[str]:
    return list(dict.fromkeys(name for meta in metas for name in meta.get(key, ())))


def fusion_lines(meta: Mapping[str, Any]) -> list[str]:
    """What the metadata of fused predictions say, for people; empty for predictions that were not fused."""
    record = meta.get(_RECORD)
    if record is None:
        return []
    how = {"equal": "equal weights", "oof": "weights fitted out of fold"}.get(record["weights"], record["weights"])
    lines = [f"{record['mean']} mean of {len(record['members'])} members, {how}"]
    for member in record["members"]:
        weights = ", ".join(f"{task} {value:.3f}" for task, value in member["weights"].items())
        lines.append(f"{member['name']} (store {member['store']}): {weights}")
    return [*lines, *(f"{task}: {text}" for task, text in record["scores"].items())]
