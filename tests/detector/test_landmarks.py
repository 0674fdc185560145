"""The network that refines landmarks: its crops, its graph, and a detector with it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from abaw.core.data_parallel import WHOLE
from abaw.core.errors import DataError
from abaw.detector.checkpoint import SPEC, export_detector, save_landmarks
from abaw.detector.landmark_crops import CropBatches, training_crop, wrong_guess
from abaw.detector.landmark_method import LandmarkMethod, landmark_scorer
from abaw.detector.landmark_network import LandmarkNetwork, build_landmark_network
from abaw.detector.network import build_detector
from abaw.detector.photos import FacePhotos
from abaw.video.align import TEMPLATE_XY
from abaw.video.detecting.landmarks import LANDMARKS, SIDE, TEMPLATE, LandmarkRefiner, placement
from abaw.video.detecting.registry import open_detector
from tests.video.clips import portrait

FACE = ((TEMPLATE_XY - 56) * 0.6 + [90, 70]).astype(np.float32)
"""Landmarks of a face of standard proportions."""


def photos(count: int = 6) -> FacePhotos:
    rng = np.random.default_rng(0)
    pictures = tuple(rng.integers(0, 256, (150, 180), dtype=np.uint8) for _ in range(count))
    box = np.tile(np.array([60, 35, 120, 110], np.float32), (count, 1))
    return FacePhotos(tuple(f"p{row}" for row in range(count)), pictures, box, np.tile(FACE, (count, 1, 1)))


def with_offsets(model: LandmarkNetwork, offsets: NDArray[np.float32]) -> LandmarkNetwork:
    """The network returns these offsets for every crop."""
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.copy_(torch.from_numpy(offsets.ravel()))
    return model


def saved(model: LandmarkNetwork, folder: Path) -> Path:
    folder.mkdir()
    detector = folder.parent / "plain.onnx"
    export_detector(build_detector(0).eval(), detector)
    save_landmarks(model.eval(), detector, folder, {"step": 0})
    return folder / "detector.onnx"


def test_standard_proportions_are_placed_on_the_template() -> None:
    matrix = placement(FACE)
    np.testing.assert_allclose(FACE @ matrix[:, :2].T + matrix[:, 2], TEMPLATE, atol=1e-3)
    assert (TEMPLATE > 0.15 * SIDE).all() and (TEMPLATE < 0.85 * SIDE).all()


@pytest.mark.parametrize("seed", range(5))
def test_perfect_offsets_lead_from_a_wrong_guess_to_the_landmarks(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    guess = wrong_guess(FACE.astype(np.float64), rng)
    assert np.abs(guess - FACE).max() > 0.5
    matrix = placement(guess)
    offsets = ((FACE @ matrix[:, :2].T + matrix[:, 2]) - TEMPLATE) / SIDE
    model = with_offsets(build_landmark_network(0), offsets.astype(np.float32))
    refiner = LandmarkRefiner(saved(model, tmp_path / "d").with_name(LANDMARKS), 1)
    refined = refiner.refine(photos().pictures[0], np.stack([guess, guess]))
    np.testing.assert_allclose(refined, np.stack([FACE, FACE]), atol=1e-2)
    assert refiner.refine(photos().pictures[0], np.empty((0, 5, 2), np.float32)).shape == (0, 5, 2)
    in_one_place = np.full((5, 2), 40, np.float32)
    both = refiner.refine(photos().pictures[0], np.stack([in_one_place, guess]))
    np.testing.assert_allclose(both, np.stack([in_one_place, FACE]), atol=1e-2)


def test_a_training_crop_shows_the_landmarks_where_its_offsets_say() -> None:
    """A white dot at each landmark of a black photo."""
    picture = np.zeros((150, 180), np.uint8)
    for x, y in np.rint(FACE).astype(int):
        picture[y - 2 : y + 3, x - 2 : x + 3] = 255
    one = photos(1)
    dotted = FacePhotos(one.names, (picture,), one.box_xyxy, np.rint(one.landmarks_xy))
    seen = 0
    for seed in range(40):
        crop, offsets = training_crop(dotted, 0, np.random.default_rng(seed))
        places = TEMPLATE + SIDE * offsets.reshape(5, 2)
        inside = ((places > 2) & (places < SIDE - 3)).all(axis=1)
        levels = [crop[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2].max() for x, y in places[inside]]
        seen += int((np.array(levels) > np.percentile(crop, 90)).mean() >= 0.6)
    assert seen >= 30


def test_equal_steps_give_equal_batches_and_a_step_learns() -> None:
    batches = CropBatches(photos(), 4, seed=1)
    one, again, other = batches(3, WHOLE), batches(3, WHOLE), batches(4, WHOLE)
    assert torch.equal(one.pictures, again.pictures) and torch.equal(one.offsets, again.offsets)
    assert not torch.equal(one.offsets, other.offsets)
    method = LandmarkMethod(build_landmark_network(0))
    loss = method.step(method.views(one, torch.Generator())).loss
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss > 0 and all(weight.grad is not None for weight in method.model.parameters())


def test_a_network_that_changes_nothing_scores_as_the_start() -> None:
    model = with_offsets(build_landmark_network(0), np.zeros(10, np.float32)).eval()
    with torch.no_grad():
        scores = landmark_scorer(photos(), np.random.default_rng(0))(model)
    assert scores["error"] == pytest.approx(scores["start"]) and scores["quality"] == -scores["error"]
    assert 0.02 < scores["start"] < 0.5


def test_the_graph_returns_what_the_network_returns(tmp_path: Path) -> None:
    model = build_landmark_network(3).eval()
    refiner = LandmarkRefiner(saved(model, tmp_path / "d").with_name(LANDMARKS), 1)
    crops = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE), dtype=np.uint8)
    with torch.no_grad():
        wanted = model(torch.from_numpy(crops)[:, None].float() / 255)
    np.testing.assert_allclose(refiner._offsets(crops).reshape(3, 10), wanted.numpy(), atol=1e-3)


def test_a_detector_uses_the_network_next_to_it(tmp_path: Path) -> None:
    shift = np.full((5, 2), 3 / SIDE, np.float32)
    alone = tmp_path / "alone"
    refined = saved(with_offsets(build_landmark_network(0), shift), tmp_path / "d")
    assert (tmp_path / "d" / SPEC).is_file()
    alone.mkdir()
    shutil.copy(refined, alone / "detector.onnx")
    plain, both = (open_detector(str(path), min_score=1e-4, threads=1) for path in (alone / "detector.onnx", refined))
    assert LANDMARKS in both.identity and LANDMARKS not in plain.identity
    one, other = plain.detect(portrait()), both.detect(portrait())
    assert one.landmarks_xy is not None and other.landmarks_xy is not None and len(one) > 0
    np.testing.assert_array_equal(one.box_xyxy, other.box_xyxy)
    assert np.abs(one.landmarks_xy - other.landmarks_xy).max() > 0.1


@pytest.mark.parametrize("wrong", ["bytes", "detector"])
def test_another_file_in_its_place_is_refused(wrong: str, tmp_path: Path) -> None:
    detector = saved(build_landmark_network(0), tmp_path / "d")
    data = b"nothing" if wrong == "bytes" else detector.read_bytes()
    detector.with_name(LANDMARKS).write_bytes(data)
    with pytest.raises(DataError, match=f"{LANDMARKS}.*is not a network for landmarks"):
        open_detector(str(detector))
