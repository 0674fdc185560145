"""The flip-book: its timelines, its labels, that its parts share no image, and a tiny run."""

from __future__ import annotations

import csv
import io
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from abaw.core.errors import DataError
from abaw.models.sizes import TransformerSize
from abaw.protocol.classes import EXPRESSION_CLASSES, NUM_EXPRESSIONS
from abaw.training.settings import TrainSettings

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))  # scripts, not a package

from flipbook import RECIPE, SHARES, compare, make_clips, table
from flipbook_clips import CLASS_FRAMES, Book, crops, draw_segments, draw_timeline
from flipbook_stills import Still, majority, read_stills, require_apart, shared, train_static_model
from logit_clips import LogitClips, logit_clips, see

VOTES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")


def _face(seed: int) -> np.ndarray:
    """A different smooth picture each, (48, 48) uint8."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (6, 6)).astype(np.float32)
    return np.clip(cv2.resize(coarse, (48, 48), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


def _still(seed: int, label: int = 0) -> Still:
    return Still(f"{seed}.png", label, _face(seed))


def _write_ferplus(path: Path, images: list[tuple[str, str, np.ndarray]]) -> None:
    """images: split, vote that all ten annotators gave, pixels."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["split", "image", *VOTES, "fer2013"])
    with zipfile.ZipFile(path, "w") as archive:
        for index, (split, vote, pixels) in enumerate(images):
            writer.writerow([split, f"{index}.png", *(10 * (name == vote) for name in VOTES), ""])
            archive.writestr(f"ferplus/images/{index}.png", cv2.imencode(".png", pixels)[1].tobytes())
        archive.writestr("ferplus/votes.csv", text.getvalue())


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        pytest.param({"happiness": 6, "neutral": 4}, "Happiness", id="most"),
        pytest.param({"contempt": 6, "neutral": 4}, "Other", id="contempt is Other"),
        pytest.param({"happiness": 5, "neutral": 5}, None, id="tie"),
        pytest.param({"unknown": 6, "neutral": 4}, None, id="unknown"),
        pytest.param({"NF": 10}, None, id="not a face"),
    ],
)
def test_majority(votes: dict[str, int], expected: str | None) -> None:
    label = majority({name: str(votes.get(name, 0)) for name in VOTES})
    assert label == (None if expected is None else EXPRESSION_CLASSES.index(expected))


def test_a_changed_copy_goes_to_one_part_only(tmp_path: Path) -> None:
    twin = np.clip(_face(0)[1:, :0:-1] * 0.8 + 9, 0, 255).astype(np.uint8)
    twin = cv2.resize(twin, (48, 48))
    others = [("train", "neutral", _face(seed)) for seed in range(1, 20)]
    _write_ferplus(tmp_path / "f.zip", [("train", "neutral", _face(0)), *others, ("valid", "neutral", twin)])
    stills = read_stills(tmp_path / "f.zip", SHARES)
    assert [len(part) for part in (stills.static, stills.train, stills.tuning, stills.scored)] == [12, 6, 2, 0]


def test_parts_that_share_an_image_are_refused() -> None:
    require_apart([[_still(1), _still(2)], [_still(3)]])
    with pytest.raises(DataError, match="same image"):
        require_apart([[_still(1), _still(2)], [_still(2)]])


@pytest.mark.slow
def test_the_parts_of_ferplus(shared_data: Path) -> None:
    stills = read_stills(shared_data / "ferplus.zip", SHARES)
    parts = (stills.static, stills.train, stills.tuning, stills.scored)
    for index, part in enumerate(parts[:-1]):
        assert not any(shared(parts[index + 1][:500], part))
    pixels = [{still.pixels.tobytes() for still in part} for part in parts]
    assert len(set().union(*pixels)) == sum(map(len, pixels))
    assert {still.label for part in parts for still in part} == set(range(NUM_EXPRESSIONS))
    assert len(stills.train) / sum(map(len, parts[:3])) == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize("split", CLASS_FRAMES)
def test_class_shares_and_dwell_are_the_wanted_ones(split: str) -> None:
    book = Book()
    shown = draw_segments(3_000_000, CLASS_FRAMES[split], book, np.random.default_rng(0))
    shares = np.bincount(shown, minlength=NUM_EXPRESSIONS) / len(shown)
    np.testing.assert_allclose(shares, np.array(CLASS_FRAMES[split]) / sum(CLASS_FRAMES[split]), rtol=0.15)
    borders = np.flatnonzero(np.diff(shown)) + 1
    lengths, classes = np.diff(borders), shown[borders[:-1]]
    medians = [np.median(lengths[classes == label]) for label in range(NUM_EXPRESSIONS)]
    np.testing.assert_allclose(medians, book.dwell, rtol=0.15)


def test_labels_differ_from_what_is_shown_only_after_borders() -> None:
    book, rng = Book(delay=(-2, 5)), np.random.default_rng(0)
    late = 0
    for _ in range(50):
        timeline = draw_timeline(CLASS_FRAMES["Validation_Set"], book, rng)
        borders = np.flatnonzero(np.diff(timeline.shown)) + 1
        near = {frame for border in borders for frame in range(border - 2, border + 5)}
        wrong = np.flatnonzero(timeline.shown != timeline.labels)
        assert set(wrong.tolist()) <= near
        late += len(wrong)
    assert late > 50


def test_dropped_frames_come_in_runs_of_the_wanted_share() -> None:
    book, rng = Book(dropped=0.1), np.random.default_rng(0)
    faces = [draw_timeline(CLASS_FRAMES["Validation_Set"], book, rng).face for _ in range(100)]
    missing = ~np.concatenate(faces)
    assert missing.mean() == pytest.approx(0.1, abs=0.02)
    starts = np.count_nonzero(missing[1:] & ~missing[:-1])
    assert missing.sum() / starts == pytest.approx(book.drop_run, rel=0.3)


def test_frames_show_stills_of_the_class_that_is_on() -> None:
    """Each class has stills of a different brightness."""
    levels = [20 + 30 * label for label in range(NUM_EXPRESSIONS)]
    stills = [Still(f"{n}", n, np.full((48, 48), level, np.uint8)) for n, level in enumerate(levels)]
    timeline = draw_timeline(CLASS_FRAMES["Validation_Set"], Book(dropped=0.05), np.random.default_rng(3))
    images = list(crops(timeline, stills, Book(), np.random.default_rng(4)))
    assert [image is not None for image in images] == timeline.face.tolist()
    for image, label in zip(images, timeline.shown.tolist(), strict=True):
        if image is not None:
            pixels = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
            assert pixels.shape == (112, 112, 3)
            assert pixels.mean() / levels[label] == pytest.approx(1, abs=0.4)


def test_neighbours_show_one_still_a_little_changed() -> None:
    timeline = draw_timeline(CLASS_FRAMES["Validation_Set"], Book(dropped=0.0), np.random.default_rng(0))
    stills = [_still(seed, seed % NUM_EXPRESSIONS) for seed in range(160)]
    images = [
        cv2.imdecode(np.frombuffer(image or b"", np.uint8), cv2.IMREAD_GRAYSCALE).astype(float)
        for image in crops(timeline, stills, Book(), np.random.default_rng(1))
    ]
    steps = np.array([np.abs(one - two).mean() for one, two in zip(images[:-1], images[1:], strict=True)])
    assert (steps > 0).all()
    # A still is held 5 to 25 frames; a change of stills is a jump.
    jumps = np.count_nonzero(steps > 20)
    assert len(images) / 25 * 0.7 < jumps < len(images) / 5
    assert np.median(steps) < 5


@pytest.mark.slow
def test_a_tiny_run(tmp_path: Path) -> None:
    """Every row is there, and the same seed gives the same clips."""
    votes = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise", "contempt")
    images = [
        (split, vote, _face(1000 * place + seed + 100_000 * (split == "valid")))
        for split, count in (("train", 20), ("valid", 4))
        for place, vote in enumerate(votes)
        for seed in range(count)
    ]
    _write_ferplus(tmp_path / "f.zip", images)
    stills = read_stills(tmp_path / "f.zip", SHARES)
    assert [len(part) for part in (stills.static, stills.train, stills.tuning, stills.scored)] == [96, 48, 16, 32]
    static = train_static_model(stills.static, tmp_path, steps=4)
    assert train_static_model(stills.static, tmp_path, steps=4) == static
    counts = {"train": 4, "tuning": 2, "scored": 2}
    folders = [
        make_clips(stills, static, tmp_path / name, Book(clip=(150, 200)), counts, seed=0) for name in ("one", "two")
    ]
    stores = [sorted(folder.rglob("logits/*.arrow")) for folder in folders]
    assert len(stores[0]) == 8
    annotations = [sorted(folder.rglob("*.txt")) for folder in folders]
    assert [path.read_bytes() for path in annotations[0]] == [path.read_bytes() for path in annotations[1]]
    recipe = replace(
        RECIPE,
        model=TransformerSize(layers=1, heads=1, width=8, start="log_probs"),
        train=TrainSettings(steps=3, warmup_steps=1, accelerator="cpu"),
    )
    options = LogitClips(clips=4, poses=1)
    seen = see(static, stills.train, options, tmp_path)
    rows = compare(folders[0], static, recipe, logit_clips(seen, CLASS_FRAMES["Train_Set"], options, seed=0))
    assert {"static", "static + viterbi", "static + box, hindsight", "temporal"} <= set(rows)
    for name in ("box", "median", "gaussian", "forward_backward", "viterbi"):
        assert rows[f"static + {name}, hindsight"].macro_f1 >= rows[f"static + {name}"].macro_f1
    written = table([rows, rows])
    assert len(written.splitlines()) == 2 + len(rows)
    assert "| static | " in written
