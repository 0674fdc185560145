"""Which grid points are responsible for which face, and what the loss asks of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from abaw.detector.loss import Faces, assign, detector_losses, grid_points
from abaw.detector.network import OUTPUTS, STRIDES, build_detector

SIDE = 128
BOX = (40.0, 40.0, 80.0, 88.0)
POINTS = ((50.0, 55.0), (70.0, 55.0), (60.0, 65.0), (52.0, 76.0), (68.0, 76.0))


def grids(score: float = -6.0) -> list[Tensor]:
    found = [torch.zeros(1, OUTPUTS, SIDE // stride, SIDE // stride) for stride in STRIDES]
    for grid in found:
        grid[:, 0] = score
    return found


def faces(*states: int, boxes: Sequence[tuple[float, ...]] = (BOX,)) -> Faces:
    box = torch.tensor([list(boxes)], dtype=torch.float32)
    return Faces(box, torch.tensor(POINTS)[None, None].expand(1, len(boxes), 5, 2), torch.tensor([list(states)]))


def perfect_prediction() -> list[Tensor]:
    """What a perfect detector predicts for BOX at every grid point."""
    found = grids()
    places = grid_points(found)
    chosen = assign(faces(1), places)[0]
    values = torch.cat([grid.flatten(2).transpose(1, 2) for grid in found], dim=1)[0]
    box, points = torch.tensor(BOX), torch.tensor(POINTS)
    stride = places.stride[:, None]
    values[:, 1:3] = ((box[:2] + box[2:]) / 2 - places.xy) / stride
    values[:, 3:5] = ((box[2:] - box[:2]) / stride).log()
    values[:, 5:] = ((points[None] - places.xy[:, None]) / stride[:, None]).flatten(1)
    values[chosen >= 0, 0] = 9.0
    sizes = [grid.shape[2] * grid.shape[3] for grid in found]
    parts = values.split(sizes)
    return [part.T.reshape(1, OUTPUTS, *grid.shape[2:]) for part, grid in zip(parts, found, strict=True)]


def test_points_near_the_centre_are_responsible_and_those_around_are_ignored() -> None:
    places = grid_points(grids())
    chosen = assign(faces(1), places)[0]
    middle = places.xy + places.stride[:, None] / 2
    centre = torch.tensor([60.0, 64.0])
    away = ((middle - centre) / torch.tensor([40.0, 48.0])).norm(dim=1)
    fine = places.level == 0
    assert (away[fine & (chosen == 0)] < 0.22 + 0.1).all() and (chosen[fine & (away < 0.22)] == 0).all()
    assert (chosen[fine & (away > 0.36)] == -1).all()
    assert ((chosen == -2) & fine).any()
    assert (chosen[places.level == 2] < 0).all(), "a face of 44 pixels is too small for the coarse grid"


def test_a_tiny_face_belongs_to_the_point_whose_square_contains_its_centre() -> None:
    tiny = (41.0, 42.0, 45.0, 47.0)
    chosen = assign(faces(1, boxes=(tiny,)), grid_points(grids()))[0]
    assert (chosen == 0).sum() == 1


def test_a_face_that_does_not_count_is_ignored() -> None:
    places = grid_points(grids())
    assert (assign(faces(-1), places) >= 0).sum() == 0
    middle = places.xy + places.stride[:, None] / 2
    inside = ((middle > torch.tensor(BOX[:2])) & (middle < torch.tensor(BOX[2:]))).all(dim=1)
    assert (assign(faces(-1), places)[0][inside] == -2).all()
    loud = grids(score=8.0)
    quiet = detector_losses(loud, faces(-1)).score
    assert quiet < detector_losses(loud, faces(0)).score, "scores inside it cost nothing"


def test_a_perfect_prediction_costs_nothing_and_a_shifted_one_does() -> None:
    best = detector_losses(perfect_prediction(), faces(1))
    assert best.score < 1e-3 and best.box < 1e-4 and best.landmarks < 2e-3
    shifted = perfect_prediction()
    for grid in shifted:
        grid[:, 1] += 0.5
        grid[:, 5] += 0.5
    worse = detector_losses(shifted, faces(1))
    assert worse.box > best.box + 0.05 and worse.landmarks > best.landmarks + 0.005
    assert detector_losses(grids(), faces(1)).score > 1


def test_no_face_at_all() -> None:
    losses = detector_losses(grids(), faces(0))
    assert losses.box == 0 and losses.landmarks == 0 and torch.isfinite(losses.score)


def test_boxes_and_landmarks_are_learned() -> None:
    """Trained on one scene, every term of the loss falls."""
    torch.manual_seed(0)
    model = build_detector(0)
    picture = torch.rand(2, 1, SIDE, SIDE)
    wanted = Faces(*(part.expand(2, *part.shape[1:]) for part in faces(1)))
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    first = None
    for _ in range(40):
        losses = detector_losses(model(picture), wanted)
        total = losses.score + losses.box + 12 * losses.landmarks
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        first = first or [part.item() for part in losses]
    assert all(part.item() < 0.5 * before for part, before in zip(losses, first or [], strict=True))
    assert all(parameter.grad is not None for parameter in model.parameters())
