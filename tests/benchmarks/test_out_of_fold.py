"""Out-of-fold comparison of static recipes, on small stores."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from abaw.data.face_set import join, labelled_stills
from abaw.stores.spec import load_spec
from tests.benchmarks.test_static_scripts import encoded, photo
from tests.data.faces import still_store

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import out_of_fold
import out_of_fold_scores

RECIPE = """
method: supervised
backbone: small
size: 16
batch_size: 8
train: {accelerator: cpu, steps: 2, warmup_steps: 1}
"""


@pytest.fixture
def stores(tmp_path: Path) -> list[Path]:
    """Two crops of 48 photos of two classes, of which the first two photos are copies of the last two."""
    images = [encoded(photo(seed)) for seed in range(46)] + [encoded(photo(0)[:, ::-1]), encoded(photo(1) // 2 + 50)]
    labels = [index % 2 for index in range(48)]
    same = {"source": "photos"}
    return [still_store(tmp_path / f"{name}.arrow", labels, jpeg=images, meta=same) for name in ("whole", "aligned")]


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", ["out_of_fold.py", *map(str, words)])
    out_of_fold.main()


def test_crops_and_copies_of_a_photo_are_in_one_fold(stores: list[Path], tmp_path: Path) -> None:
    faces = join([labelled_stills(path) for path in stores])
    folds = out_of_fold.folds_of(faces, stores[0], tmp_path / "folds.npy")
    assert sorted(set(folds)) == [0, 1, 2, 3]
    assert folds[:48].tolist() == folds[48:].tolist()
    assert folds[:2].tolist() == folds[46:48].tolist()
    assert folds.tolist() == out_of_fold.folds_of(faces, stores[0], tmp_path / "folds.npy").tolist()
    with pytest.raises(SystemExit, match="made for 96 faces, not for these 48"):
        out_of_fold.folds_of(labelled_stills(stores[0]), stores[0], tmp_path / "folds.npy")


def test_recipes_are_trained_and_compared_on_all_folds(
    stores: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    same = ["--work", tmp_path / "work", "--faces", *stores]
    recipe = ["--recipes", tmp_path / "recipe.yaml"]
    run(monkeypatch, "train", *same, "--name", "first", *recipe)
    unlabelled = still_store(tmp_path / "more.arrow", [None] * 12)
    monkeypatch.setattr(out_of_fold, "SOFT", out_of_fold.SoftLabelling(lowest=0.0))
    run(monkeypatch, "train", *same, "--name", "more", "--start", "first", *recipe, "--unlabelled", unlabelled)
    faces = join([labelled_stills(path) for path in stores])
    folds = np.load(tmp_path / "work/folds.npy")
    for fold in range(4):
        held = faces.take(folds == fold)
        last = tmp_path / f"work/more/fold{fold}/0/last"
        expected = out_of_fold.predicted(last, held)
        assert np.load(tmp_path / f"work/more/fold{fold}/probs.npy") == pytest.approx(expected, abs=1e-6)
        assert sum(load_spec(last).training["train_counts"]) == int((folds != fold).sum()) + 12
    capsys.readouterr()
    run(monkeypatch, "score", *same, "--names", "first", "more", "first+more")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "96 faces of 48 photos, 4 folds; differences in points"
    rows = [line.split(" | ")[0] for line in lines[3:]]
    assert rows == [f"| {name}{kind}" for kind in ("", ", shifted") for name in ("first", "more", "first+more")]
    assert lines[3].split(" | ")[3:5] == ["+0.00 ± 0.00"] * 2
    run(monkeypatch, "score", *same, "--names", "first", "--fold", 1, 3)
    counted = int(np.isin(folds, [1, 3]).sum())
    assert capsys.readouterr().out.startswith(f"{counted} faces of {counted // 2} photos, 2 folds; ")
    with pytest.raises(SystemExit, match="has no predictions; train absent with --fold 0 first"):
        run(monkeypatch, "score", *same, "--names", "absent")


def test_scores_count_drawn_faces() -> None:
    labels, classes = np.array([0, 0, 1, 7]), np.array([0, 1, 1, 0])
    scores = out_of_fold_scores.Scores.of(labels, classes, np.array([[1, 1, 1, 1], [2, 0, 0, 1]], dtype=np.int16))
    assert scores.accuracy == pytest.approx([2 / 4, 2 / 3])
    assert scores.f1[0, [0, 1, 7]] == pytest.approx([2 / 4, 2 / 3, 0])
    assert scores.f1[1, [0, 1, 7]] == pytest.approx([4 / 5, 0, 0])
    assert out_of_fold_scores.difference(np.array([0.5, 0.6, 0.6]), np.array([0.4, 0.5, 0.3])) == "+10.00 ± 10.00"


def test_a_shift_is_chosen_on_other_folds() -> None:
    """A rare class that is always a little too unlikely is found, without a loss elsewhere."""
    labels = np.array(([0] * 9 + [1]) * 20)
    probs = np.full((200, 8), 0.001, dtype=np.float32)
    probs[labels == 0, 0] = 0.95
    probs[labels == 1, 0], probs[labels == 1, 1] = 0.55, 0.44
    folds = np.arange(200) // 50
    assert (probs.argmax(axis=1) == 0).all()
    assert out_of_fold_scores.shifted(probs, labels, folds).tolist() == labels.tolist()


def test_the_crops_of_a_photo_are_drawn_together() -> None:
    draws = out_of_fold_scores.drawn_photos(np.array([0, 1, 2, 0, 1, 2]))
    assert draws.shape == (1 + out_of_fold_scores.DRAWS, 6)
    assert (draws[:, :3] == draws[:, 3:]).all() and (draws[:, :3].sum(axis=1) == 3).all()
    assert draws[0].tolist() == [1] * 6 and draws[1:].std() > 0
