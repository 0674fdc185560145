"""The temporal model of the package: its training clips, held stills, and the rule by which it wins."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from abaw.inference.members import FrameOutputs
from abaw.protocol.classes import NUM_EXPRESSIONS
from abaw.sequence.smooth import parse_smoothing
from abaw.stores.sources import Source, is_logits
from tests.checkpoints import static_checkpoint

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))  # scripts, not a package

from builtin_temporal import REFERENCE, WITH_MODEL, Outcome, verdict
from flipbook_compare import Score
from flipbook_stills import Still, split_valid
from held_stills import FRAMES, Steadiness, steadiness
from logit_clips import LogitClips, Seen, logit_clips, see

STILLS = [
    Still(f"{n}.png", n % NUM_EXPRESSIONS, np.random.default_rng(n).integers(0, 255, (48, 48), dtype=np.uint8))
    for n in range(80)
]
SOURCE = Source("logits", "w/logits", NUM_EXPRESSIONS)
# The logits of a class's stills are 100 times the class: a frame shows where it comes from.
SEEN = Seen(
    [np.full((3, 2, 2, NUM_EXPRESSIONS), 100 * label, np.float32) for label in range(NUM_EXPRESSIONS)], SOURCE, ()
)


def _names(seed: int) -> list[list[str]]:
    parts = split_valid(STILLS, seed)
    assert not parts.static
    return [[still.name for still in part] for part in (parts.train, parts.tuning, parts.scored)]


def test_each_photo_is_in_one_part() -> None:
    names = _names(seed=0)
    assert [len(part) for part in names] == [40, 8, 32]
    assert len({name for part in names for name in part}) == 80
    assert _names(seed=1) != names == _names(seed=0)


def test_frames_of_clips_are_of_the_class_on_show() -> None:
    options = LogitClips(clips=20, frozen=0.0)
    clips = logit_clips(SEEN, [1.0] * NUM_EXPRESSIONS, options, seed=0)
    assert clips.sources == (SOURCE,) and is_logits(SOURCE)
    wrong = frames = 0
    for clip in clips.clips:
        assert (clip.features[~clip.face] == 0).all() and (clip.present[:, 0] == clip.face).all()
        wrong += int(np.count_nonzero(clip.features[clip.face, 0] != 100.0 * clip.labels[clip.face]))
        frames += len(clip)
    # Late labels and dissolves.
    assert 0 < wrong < 0.15 * frames
    assert (clips.class_counts() > 0).all()
    again = logit_clips(SEEN, [1.0] * NUM_EXPRESSIONS, options, seed=0)
    assert again.fingerprint() == clips.fingerprint()


def test_frozen_clips_do_not_change() -> None:
    for clip in logit_clips(SEEN, [1.0] * NUM_EXPRESSIONS, LogitClips(clips=10, frozen=1.0), seed=0).clips:
        assert len(clip) == 210 and clip.face.all()
        assert (clip.features == clip.features[0]).all() and (clip.labels == clip.labels[0]).all()


@pytest.mark.parametrize("natural", [0.0, 0.5, 1.0])
def test_class_shares_follow_their_power(natural: float) -> None:
    shares = [8.0, 1, 1, 1, 1, 1, 1, 1]
    counts = logit_clips(SEEN, shares, LogitClips(clips=300, natural=natural), seed=0).class_counts()
    assert counts[0] / counts[1:].mean() == pytest.approx(8**natural, rel=0.4)


def test_a_class_without_stills_does_not_occur() -> None:
    some = Seen([SEEN.by_class[0], *(each[:0] for each in SEEN.by_class[1:2]), *SEEN.by_class[2:]], SOURCE, ())
    counts = logit_clips(some, [1.0] * NUM_EXPRESSIONS, LogitClips(clips=20), seed=0).class_counts()
    assert counts[1] == 0 and (np.delete(counts, 1) > 0).all()


def test_stills_are_seen_once(tmp_path: Path) -> None:
    static, options = static_checkpoint(tmp_path / "static"), LogitClips(poses=2)
    seen = see(static, STILLS[:16], options, tmp_path)
    assert [each.shape for each in seen.by_class] == [(2, 2, 2, NUM_EXPRESSIONS)] * NUM_EXPRESSIONS
    assert is_logits(seen.source)
    assert not np.array_equal(seen.by_class[0][0, 0, 0], seen.by_class[0][0, 1, 0])
    [path] = tmp_path.glob("seen-*.npy")
    written = path.stat().st_mtime_ns
    again = see(static, STILLS[:16], options, tmp_path)
    assert path.stat().st_mtime_ns == written
    np.testing.assert_array_equal(again.by_class[0], seen.by_class[0])


class _Member:
    """Repeats the static model; in the last frames, `changed` of them, it says another class."""

    tasks = ("expression",)

    def __init__(self, changed: int) -> None:
        self.changed = changed

    def outputs(self, features: NDArray[np.float16], present: NDArray[np.bool_]) -> FrameOutputs:
        probs = torch.from_numpy(features).float().softmax(-1)
        probs[len(probs) - self.changed :] = probs[:1].roll(1, dims=-1)
        return FrameOutputs(probs.numpy(), present[:, 0])


@pytest.mark.parametrize(("changed", "steady"), [(0, True), (2, True), (20, False)])
def test_held_stills_count_changes(changed: int, steady: bool, tmp_path: Path) -> None:
    static = static_checkpoint(tmp_path / "static")
    found = steadiness(STILLS[:16], static, _Member(changed), parse_smoothing("none"))  # type: ignore[arg-type]
    assert found.changed == pytest.approx(changed / FRAMES)
    assert (found.changed <= 0.02) is steady


@pytest.mark.parametrize("text", ["none", "gaussian:0.4s", "median:0.52s"])
def test_filters_leave_held_stills_alone(text: str, tmp_path: Path) -> None:
    found = steadiness(STILLS[:16], static_checkpoint(tmp_path / "static"), None, parse_smoothing(text))
    assert found.steady and found.changed == 0 and found.accuracy == found.static_accuracy


def _outcomes(gains: Sequence[float], changed: float = 0.0) -> list[Outcome]:
    held = Steadiness(0.8, 0.6, 0.8, 0.6, changed)
    rows = ({REFERENCE: Score(0.6, 0.8, ""), WITH_MODEL: Score(0.6 + gain, 0.8, "")} for gain in gains)
    return [Outcome(Path("run"), row, held) for row in rows]


@pytest.mark.parametrize(
    ("outcomes", "wins"),
    [
        pytest.param(_outcomes([0.03, 0.02, 0.02]), True, id="better on every seed"),
        pytest.param(_outcomes([0.07, 0.0, 0.01]), True, id="not below on any seed"),
        pytest.param(_outcomes([0.09, -0.01, 0.01]), False, id="below on one"),
        pytest.param(_outcomes([0.01, 0.02, 0.02]), False, id="too little on average"),
        pytest.param(_outcomes([0.03, 0.03, 0.03], changed=0.03), False, id="not steady"),
    ],
)
def test_the_rule(outcomes: list[Outcome], wins: bool) -> None:
    assert verdict(outcomes).endswith("it wins" if wins else "decoding alone wins")
