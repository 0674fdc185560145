"""`abaw cross-validate` on made-up features: every video once, by a model that saw neither it nor its other person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from abaw.core.artifacts import read_json
from abaw.protocol.layout import parse_subject
from abaw.stores.features import feature_batch, open_features, write_features
from abaw.stores.predictions import read_predictions
from abaw.stores.spec import load_spec
from pipelines.cli import main
from tests.pipelines.interrupt import check_interrupt
from tests.pipelines.temporal_data import TINY, D, data_flags, make_data, make_split

FLAGS = [*TINY, "--holdout", "0.34", "--train.steps", "10", "--window", "40", "--hop", "20", "--folds", "3"]
PAIRS = ["pair0", "pair0_left", "pair1_left", "pair1_right"]
NAMES = sorted([*PAIRS, *(f"train{index}" for index in range(6)), *(f"valid{index}" for index in range(3))])


def _words(root: Path, out: Path, *more: str) -> list[str]:
    return ["cross-validate", *data_flags(root), "--out", str(out), *FLAGS, *more]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cross")
    make_data(root)
    make_split(root, "Train_Set", PAIRS)
    assert main(_words(root, root / "run", "--workers", "2")) == 0
    return root


def test_every_video_is_predicted_once_by_a_model_that_never_saw_it(done: Path) -> None:
    stores = sorted((done / "run" / "predictions").glob("*.arrow"))
    assert [store.stem for store in stores] == NAMES
    for store in stores:
        predictions = read_predictions(store)
        assert len(predictions) == 120 and predictions.meta["trained_on"]
        own = parse_subject(store.stem).video
        seen = {parse_subject(name).video for key in ("trained_on", "selected_on") for name in predictions.meta[key]}
        assert own not in seen


@pytest.mark.parametrize("split", ["Train_Set", "Validation_Set"])
def test_what_any_features_were_trained_on_counts_for_all_models(split: str, tmp_path: Path) -> None:
    """The stores of one source may say different things, those of both splits too."""
    make_data(tmp_path, num_training=3, num_validation=2)
    name = "train2" if split == "Train_Set" else "valid1"
    store = open_features(tmp_path / "features" / f"{name}.arrow")
    batch = feature_batch(store.frames, store.valid, store.features())
    (tmp_path / "features" / f"{name}.arrow").unlink()
    write_features(tmp_path / "features" / f"{name}.arrow", D, [batch], {**store.meta, "trained_on": ["valid0"]})
    assert main(_words(tmp_path, tmp_path / "run", "--folds", "2", "--workers", "1")) == 0
    for path in (tmp_path / "run" / "predictions").glob("*.arrow"):
        assert "valid0" in read_predictions(path).meta["trained_on"]


def test_the_folds_part_the_videos_and_keep_two_people_together(done: Path) -> None:
    folds = [read_json(done / "run" / "folds" / str(fold) / "cell.json")["videos"] for fold in range(3)]
    assert sorted(name for videos in folds for name in videos) == NAMES
    assert all(4 <= len(videos) <= 5 for videos in folds)
    of_video: dict[str, set[int]] = {}
    for fold, videos in enumerate(folds):
        for name in videos:
            of_video.setdefault(parse_subject(name).video, set()).add(fold)
    assert all(len(found) == 1 for found in of_video.values())


def test_no_fold_trains_on_its_videos(done: Path) -> None:
    for fold in range(3):
        folder = done / "run" / "folds" / str(fold)
        own = set(read_json(folder / "cell.json")["videos"])
        for name in ("last", "best"):
            training = load_spec(folder / name).training
            used = {*training["videos"], *training["scored_on"]}
            assert used == set(NAMES) - own and not set(training["videos"]) & set(training["scored_on"])


def test_the_report_shows_out_of_fold_score_interval_and_spread(done: Path) -> None:
    facts = read_json(done / "run" / "cross_validation.json")
    low, high = facts["interval"]
    assert low < facts["macro_f1"] < high
    assert facts["folds_mean"] == pytest.approx(np.mean([fold["macro_f1"] for fold in facts["folds"]]))
    text = (done / "run" / "cross_validation.md").read_text()
    assert f"out of fold: macro F1 {facts['macro_f1']:.4f}, 95 % interval [{low:.4f}, {high:.4f}], on 13 videos" in text
    assert text.count("\n| ") == 4


@pytest.mark.slow
def test_an_interrupt_of_the_command_alone_ends_its_workers(done: Path, tmp_path: Path) -> None:
    more = ("--workers", "2", "--train.steps", "1000000", "--train.checkpoint_every", "10")
    words = _words(done, tmp_path / "run", *more)
    check_interrupt(words, lambda: any(tmp_path.glob("run/folds/*/last/state.pt")), tmp_path / "log")


def test_finished_folds_are_kept_and_checkpoints_predict_together(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (done / "run" / "cross_validation.md").read_text()
    assert main(_words(done, done / "run")) == 0
    assert "3 of 3 cells are finished already" in capsys.readouterr().err
    assert (done / "run" / "cross_validation.md").read_text() == before
    checkpoints = [str(done / "run" / "folds" / str(fold) / "last") for fold in range(3)]
    words = ["predict", "--features", str(done / "features"), "--checkpoint", *checkpoints, "--out", str(tmp_path)]
    assert main(words) == 0 and len(list(tmp_path.glob("*.arrow"))) == len(NAMES)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--folds", "1"], "folds 1: expected at least 2"),
        (["--folds", "20"], "folds 20: the annotated videos fill only 11 of them; use fewer folds"),
        (["--hop", "50"], "hop 50 > window 40"),
        (["--workers", "0"], "--workers 0"),
        (["--train.devices", "2"], "cross-validate trains each run on one device"),
        (["--train.nodes", "2"], "cross-validate trains each run on one device"),
    ],
)
def test_settings_that_do_not_fit_leave_nothing(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    assert main(_words(done, tmp_path / "run", *flags)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_another_number_of_folds_needs_another_folder(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(_words(done, done / "run", "--folds", "4")) == 2
    assert "(folds: 3 -> 4)" in capsys.readouterr().err
