"""The scripts that score, ship and examine the static model, on small stores."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from abaw.data.face_set import labelled_stills
from abaw.data.images import ImageReader
from abaw.inference.images import predict_probs
from abaw.models.image_input import image_input
from abaw.models.static import load_static
from abaw.stores.spec import WEIGHTS, has_graph
from tests.checkpoints import static_checkpoint
from tests.data.faces import still_store, video_store

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import open_set
import score_stills
import ship_weights


def photo(seed: int) -> np.ndarray:
    """A picture of a few soft spots, which differ from seed to seed."""
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.integers(0, 200, (6, 6), dtype=np.uint8), (48, 48), interpolation=cv2.INTER_CUBIC)


def encoded(image: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", image)[1].tobytes()


def test_copies_are_found_though_mirrored_brighter_or_scaled(tmp_path: Path) -> None:
    scored = still_store(tmp_path / "scored.arrow", [0, 1, 2], jpeg=[encoded(photo(seed)) for seed in (1, 2, 3)])
    changed = [photo(9), photo(1)[:, ::-1] // 2 + 60, cv2.resize(photo(3), (30, 30)), photo(8)]
    learned = still_store(tmp_path / "learned.arrow", [0, 1, 2, 3], jpeg=[encoded(image) for image in changed])
    copies = score_stills.names_of_copies(scored, learned)
    assert copies == {"0000.jpg", "0002.jpg"}
    sets = dict(score_stills.sets(scored, copies))
    assert {name: len(faces) for name, faces in sets.items()} == {"scored": 3, "scored, no copies": 1}
    assert [name for name, _ in score_stills.sets(scored, set())] == ["scored"]


def test_the_weights_that_ship_predict_the_same_classes_with_other_confidence(tmp_path: Path) -> None:
    source = static_checkpoint(tmp_path / "source")
    store = still_store(tmp_path / "faces.arrow", [index % 8 for index in range(40)])
    ship_weights.write(source, tmp_path / "shipped", [store])
    assert has_graph(tmp_path / "shipped") and not has_graph(source)
    assert (tmp_path / "shipped" / WEIGHTS).stat().st_size < 0.6 * (source / WEIGHTS).stat().st_size
    faces, found = labelled_stills(store), []
    for folder in (source, tmp_path / "shipped"):
        model, spec = load_static(folder)
        image = image_input(spec)
        found.append(np.log(predict_probs(model, ImageReader(faces, image.size, 1), image)))
    temperature = spec.training["temperature"]
    assert spec.training["calibrated_on"] == ["faces"] and 0.1 <= temperature <= 10
    centred = [logits - logits.mean(axis=1, keepdims=True) for logits in found]
    assert centred[0] / temperature == pytest.approx(centred[1], abs=0.02 * float(np.abs(centred[1]).max()))


def test_labelled_frames_are_read_with_their_videos(tmp_path: Path) -> None:
    for name in ("a", "b"):
        video_store(tmp_path / f"{name}.arrow", [0, 1, None, 3, 4])
    table = tmp_path / "labels.csv"
    table.write_text("video,first,last,label\na,2,4,Other\nb,1,1,Anger\ngone,1,5,Fear\n")
    features, logits, labels, videos = open_set.read(table, tmp_path, static_checkpoint(tmp_path / "model"))
    assert labels.tolist() == [7, 7, 1] and videos.tolist() == ["a", "a", "b"]
    assert len(features) == len(logits) == 3
    scores = open_set.scores(features, logits)
    assert all(values.shape == (3,) and np.isfinite(values).all() for values in scores.values())
