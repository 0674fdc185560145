"""Unlabelled data without information do no harm."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from abaw.data.face_set import FaceSet, labelled_stills, unlabelled_faces
from abaw.semisup.registry import method_names
from abaw.training.loop import LAST
from abaw.training.settings import TrainSettings
from abaw.training.static import score_static, train_static_on, warm_start
from abaw.training.static_recipe import StaticRecipe
from tests.data.faces import still_store

SEEDS = (0, 1, 2)


def pictures(labels: Sequence[int | None], seed: int) -> list[bytes]:
    """Noise, with a faint spot at the label's position: no model predicts all of them correctly."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 216, (len(labels), 32, 32, 3), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        if label is not None:
            row, column = divmod(label, 3)
            image[row * 10 : row * 10 + 10, column * 10 : column * 10 + 10] += 40
    return [cv2.imencode(".jpg", image)[1].tobytes() for image in images]


def store(path: Path, labels: Sequence[int | None], seed: int) -> Path:
    return still_store(path, labels, seed, jpeg=pictures(labels, seed))


def scores(tmp_path: Path, method: str, training: FaceSet, test: FaceSet, unlabelled: FaceSet) -> list[float]:
    """Macro F1 on the test faces per seed, each after the same warm start on labelled faces."""
    found = []
    for seed in SEEDS:
        settings = TrainSettings(
            steps=60, lr=3e-3, warmup_steps=5, ema_decay=0.95, evaluate_every=60, checkpoint_every=60, seed=seed
        )
        recipe = StaticRecipe(method=method, size=16, batch_size=16, train=settings)
        init = warm_start(recipe, 60, training, None, tmp_path / f"warm{seed}")
        train_static_on(recipe, training, None, unlabelled, tmp_path / f"{method}{seed}", init)
        found.append(score_static(tmp_path / f"{method}{seed}" / LAST, test, "cpu")["macro_f1"])
    return found


@pytest.mark.slow
def test_noise_as_unlabelled_data_does_not_pull_a_method_below_supervised(tmp_path: Path) -> None:
    training = labelled_stills(store(tmp_path / "train.arrow", [index % 8 for index in range(96)], seed=1))
    test = labelled_stills(store(tmp_path / "test.arrow", [index % 8 for index in range(400)], seed=2))
    unlabelled = unlabelled_faces(store(tmp_path / "noise.arrow", [None] * 200, seed=3), 1)
    supervised = scores(tmp_path, "supervised", training, test, unlabelled)
    spread = max(supervised) - min(supervised)
    assert 0.3 < np.mean(supervised) < 0.999  # neither hopeless nor too easy to show a difference
    for method in sorted(set(method_names()) - {"supervised"}):
        found = scores(tmp_path, method, training, test, unlabelled)
        assert np.mean(found) >= np.mean(supervised) - max(spread, 0.02), (method, found, supervised)
