"""Scenes for the face detector: boxes and landmarks are where the faces are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from abaw.core.errors import ConfigError
from abaw.detector import scenes as module
from abaw.detector.augment import cover, damage, dim, relight, turn_head
from abaw.detector.backdrops import backdrop, drawn, lure
from abaw.detector.photos import FacePhotos
from abaw.detector.scenes import Scene, make_scene
from abaw.detector.settings import SceneSettings
from abaw.video.detecting.detections import MIRRORED

GREYS = (90, 120, 150, 180, 210)
"""Grey levels of the dots at the five landmarks, a different one each, to distinguish them."""
POINTS = np.array([[60, 70], [100, 70], [80, 90], [65, 115], [95, 115]], np.float32)
BOX = np.array([40, 40, 120, 140], np.float32)


def marked_photos() -> FacePhotos:
    """A dark photo with a dot at each landmark."""
    photo = np.full((160, 160), 30, np.uint8)
    rows, columns = np.mgrid[:160, :160] + 0.5
    for grey, (x, y) in zip(GREYS, POINTS, strict=True):
        photo[np.hypot(columns - x, rows - y) < 6] = grey
    return FacePhotos(("Some_Body_0001",), (photo,), BOX[None], POINTS[None])


@pytest.fixture
def undamaged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scenes that show the photos unchanged, on black."""

    def unchanged(picture: NDArray[np.uint8], *_: Any) -> NDArray[np.uint8]:
        return picture

    def black(side: int, *_: Any) -> NDArray[np.uint8]:
        return np.zeros((side, side), np.uint8)

    for name in ("damage", "dim", "relight"):
        monkeypatch.setattr(module, name, unchanged)
    monkeypatch.setattr(module, "backdrop", black)
    monkeypatch.setattr(module, "_add_lures", lambda *_: None)


def many(settings: SceneSettings, count: int, photos: FacePhotos | None = None, side: int = 256) -> list[Scene]:
    rng = np.random.default_rng(0)
    return [make_scene(photos or marked_photos(), [], settings, side, rng) for _ in range(count)]


@pytest.mark.usefixtures("undamaged")
def test_every_landmark_is_on_its_dot() -> None:
    """In mirrored faces too, where left and right change places."""
    seen = {False: 0, True: 0}
    for scene in many(SceneSettings(covered=0, smallest=40, empty=0, turned=0), 60):
        for points, box in zip(scene.landmarks_xy, scene.box_xyxy, strict=True):
            whole = np.floor(points).astype(int)
            if whole.min() < 0 or whole.max() >= 256:
                continue
            found = scene.picture[whole[:, 1], whole[:, 0]].astype(int)
            mirrored = abs(found[0] - GREYS[0]) > abs(found[0] - GREYS[1])
            wanted = np.array(GREYS)[list(MIRRORED)] if mirrored else np.array(GREYS)
            np.testing.assert_allclose(found, wanted, atol=14)
            seen[mirrored] += 1
            assert (points >= box[:2] - 1).all() and (points <= box[2:] + 1).all()
    assert min(seen.values()) > 10


def test_a_turned_head_keeps_its_landmarks_and_one_half_is_narrow() -> None:
    photo = marked_photos().pictures[0]
    rng, ratios = np.random.default_rng(0), []
    for _ in range(40):
        turned, box, points = turn_head(photo, BOX.astype(np.float64), POINTS.astype(np.float64), rng)
        whole = np.floor(points).astype(int)
        np.testing.assert_allclose(turned[whole[:, 1], whole[:, 0]], GREYS, atol=14)
        np.testing.assert_array_equal(points[:, 1], POINTS[:, 1])
        halves = np.array([points[2, 0] - box[0], box[2] - points[2, 0]])
        ratios.append(np.log(halves[1] / halves[0]))
        assert halves.min() < 0.9 * 40 and 40 <= halves.max() <= 1.21 * 40
        # What is outside the face only moves.
        assert turned.shape[0] == 160 and turned.shape[1] - (box[2] - box[0]) == pytest.approx(80, abs=1)
    assert min(ratios) < -1 and max(ratios) > 1


def test_faces_larger_than_their_photo_allows_are_rare() -> None:
    small, large = marked_photos(), marked_photos()
    shrunk = FacePhotos(("Small_0001",), (small.pictures[0][::4, ::4],), BOX[None] / 4, POINTS[None] / 4)
    both = FacePhotos(
        (*shrunk.names, *large.names),
        (*shrunk.pictures, *large.pictures),
        np.concatenate([shrunk.box_xyxy, large.box_xyxy]),
        np.concatenate([shrunk.landmarks_xy, large.landmarks_xy]),
    )
    rng = np.random.default_rng(0)
    assert {module._choose(both, 60, SceneSettings(), rng) for _ in range(40)} == {0, 1}
    assert np.mean([module._choose(both, 200, SceneSettings(), rng) for _ in range(200)]) > 0.95


def test_low_light_is_dark_and_not_black() -> None:
    rng = np.random.default_rng(0)
    photo = np.full((8, 8), 150, np.uint8)
    levels = [int(dim(photo, rng)[0, 0]) for _ in range(50)]
    assert min(levels) > 20 and max(levels) < 110


def test_faces_do_not_cover_each_other() -> None:
    for scene in many(SceneSettings(), 40):
        low, high = scene.box_xyxy[:, :2], scene.box_xyxy[:, 2:]
        for first in range(len(low)):
            for second in range(first):
                assert not ((np.minimum(high[first], high[second]) - np.maximum(low[first], low[second])) > 1).all()


def test_sizes_and_numbers_follow_the_settings() -> None:
    scenes = many(SceneSettings(smallest=20, largest=0.5, degrees=0, empty=0.3, turned=0), 150)
    widths = np.concatenate([scene.box_xyxy[:, 2] - scene.box_xyxy[:, 0] for scene in scenes])
    assert 17 < widths.min() < 25 and 100 < widths.max() < 150
    counts = np.array([len(scene.box_xyxy) for scene in scenes])
    assert 0.2 < (counts == 0).mean() < 0.42 and counts.max() > 4


def test_a_face_that_is_mostly_outside_does_not_count() -> None:
    scenes = many(SceneSettings(largest=0.9, smallest=120, empty=0), 80)
    for scene in scenes:
        inside = module.inside(scene.box_xyxy, 256)
        np.testing.assert_array_equal(scene.counts, inside >= 0.6)
    assert any(not scene.counts.all() for scene in scenes)


def test_the_same_generator_makes_the_same_scene() -> None:
    first, again = many(SceneSettings(), 3), many(SceneSettings(), 3)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.picture, other.picture)
        np.testing.assert_array_equal(one.landmarks_xy, other.landmarks_xy)


@pytest.mark.parametrize("side", [64, 160, 384])
def test_backdrops_have_the_requested_side(side: int) -> None:
    rng = np.random.default_rng(side)
    ground = rng.integers(0, 256, (90, 130), dtype=np.uint8)
    pictures: Sequence[NDArray[np.uint8]]
    for pictures in ([], [ground]):
        for _ in range(20):
            made = backdrop(side, pictures, rng)
            assert made.shape == (side, side) and made.dtype == np.uint8
    assert len({drawn(side, rng).tobytes() for _ in range(10)}) == 10


def test_light_cover_and_damage_keep_shape_and_range() -> None:
    rng = np.random.default_rng(0)
    photo = marked_photos().pictures[0]
    before = photo.copy()
    for _ in range(60):
        for result in (relight(photo, rng), cover(photo, BOX.astype(np.float64), rng), damage(photo, rng)):
            assert result.shape == photo.shape and result.dtype == np.uint8
        assert lure(40, photo, rng).shape == (40, 40)
    np.testing.assert_array_equal(photo, before)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"sides": (100,)}, "multiples of 32"),
        ({"sides": ()}, "multiples of 32"),
        ({"smallest": 200.0}, "smallest below the largest"),
        ({"empty": 1.0}, "scenes.empty"),
        ({"covered": -0.1}, "scenes.covered"),
        ({"turned": 1.2}, "scenes.turned"),
        ({"profiles": -0.1}, "scenes.profiles"),
        ({"dark": -1.0}, "scenes.dark"),
    ],
)
def test_settings_out_of_range_are_refused(overrides: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        SceneSettings(**overrides)
