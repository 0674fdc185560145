"""Natural pictures: the teacher's labels, which pictures are set aside, hard negatives, and the scenes from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.detector import natural_scenes as module
from abaw.detector.natural import (
    NO_NEGATIVES,
    SCORED,
    SET_ASIDE,
    HardNegatives,
    NaturalPictures,
    label_picture,
    mine,
    parts_of,
    read_natural,
)
from abaw.detector.natural_scenes import natural_scene, whole_scene
from abaw.detector.settings import SceneSettings
from abaw.video.detecting.detections import MIRRORED, Detections
from tests.detector.test_scenes import BOX, GREYS, POINTS, marked_photos
from tests.video.fakes import Blobs

FACE = (150, 120, 230, 220)


def picture(*faces: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    seen = np.full((360, 480, 3), 20, np.uint8)
    for x1, y1, x2, y2 in faces:
        seen[y1:y2, x1:x2] = 220
    return seen


class Unsteady(Blobs):
    """Takes blobs for faces with the given scores, one per pass."""

    def __init__(self, *scores: float) -> None:
        super().__init__()
        self.scores = list(scores)

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        found, score = super().detect(image), self.scores.pop(0)
        return Detections(found.box_xyxy, np.full(len(found), score, np.float32), found.landmarks_xy)


@pytest.mark.parametrize(
    ("scores", "sure", "best"), [((0.9, 0.5, 0.7, 0.4), 2, 0.9), ((0.7, 0.5, 0.4, 0.4), 1, 0.7), ((0.4,) * 4, 0, 0.4)]
)
def test_a_label_is_the_mean_of_passes(scores: tuple[float, ...], sure: int, best: float) -> None:
    labels = label_picture(picture(FACE), Unsteady(*scores))
    assert labels.shape == (1, 16)
    assert labels[0, :2] == pytest.approx([sure, best])
    np.testing.assert_allclose(labels[0, 2:6], FACE, atol=1.5)
    eyes, mouth = labels[0, 6:].reshape(5, 2)[:2], labels[0, 6:].reshape(5, 2)[3:]
    assert eyes[0, 0] < eyes[1, 0] and (eyes[:, 1] < mouth[:, 1]).all()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, faces in {"street/one": [FACE], "street/two": [FACE, (300, 40, 360, 120)], "room/none": []}.items():
        file = tmp_path / "scenes" / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(file), picture(*faces))
    return tmp_path / "scenes"


def test_pictures_are_labelled_once(folder: Path, tmp_path: Path) -> None:
    teacher = Blobs()
    first = read_natural(folder, teacher, tmp_path / "labels")
    passes = teacher.whole
    again = read_natural(folder, teacher, tmp_path / "labels")
    assert teacher.whole == passes == 4 * 3
    assert first.names == ("room/none.png", "street/one.png", "street/two.png")
    assert [len(faces) for faces in first.faces] == [0, 1, 2]
    assert first.fingerprint() == again.fingerprint() != first.pick([0, 1]).fingerprint()
    assert first.with_faces.tolist() == [1, 2] and first.empty.tolist() == [0]
    assert all(seen.shape == (360, 480) for seen in first.pictures)


def test_a_folder_without_pictures_or_with_damaged_ones(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="contains no pictures"):
        read_natural(tmp_path / "gone", Blobs(), tmp_path / "labels")
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"a\.png: cannot be read"):
        read_natural(tmp_path, Blobs(), tmp_path / "labels")


def test_parts_depend_on_names_alone_and_take_a_share_of_every_folder() -> None:
    names = [
        f"{folder}/{number}.jpg" for folder, count in (("a", 40), ("b/c", 20), ("d", 3)) for number in range(count)
    ]
    parts = dict(zip(names, parts_of(names, 0.1).tolist(), strict=True))
    for folder, count in (("a", 4), ("b/c", 2), ("d", 0)):
        own = [part for name, part in parts.items() if name.startswith(folder)]
        assert own.count(SET_ASIDE) == own.count(SCORED) == count
    backwards = names[::-1]
    assert dict(zip(backwards, parts_of(backwards, 0.1).tolist(), strict=True)) == parts


def test_what_is_found_where_the_teacher_finds_nothing_is_mined() -> None:
    face, unsure, wheel = FACE, (20, 20, 60, 60), (300, 200, 380, 280)
    grey = np.asarray(picture(face, unsure, wheel)[..., 0])
    row = np.zeros((1, 14), np.float32)
    row[0, :4] = face
    natural = NaturalPictures(("a",), (grey,), (row,), (np.float32([unsure]),))
    hard = mine(natural, Blobs())
    assert len(hard) == 2 and set(hard.picture.tolist()) == {0}, "one per size of the picture"
    np.testing.assert_allclose(hard.box_xyxy, [wheel] * 2, atol=2)
    assert hard.chance.sum() == pytest.approx(1)
    assert len(mine(natural.pick([]), Blobs())) == 0


@pytest.fixture
def undamaged(monkeypatch: pytest.MonkeyPatch) -> None:
    def unchanged(seen: NDArray[np.uint8], *_: Any) -> NDArray[np.uint8]:
        return seen

    for name in ("damage", "dim", "relight"):
        monkeypatch.setattr(module, name, unchanged)


def marked() -> NaturalPictures:
    """A dark picture of 480 × 360 with one face, whose landmarks have dots."""
    seen = np.full((360, 480), 30, np.uint8)
    seen[100:260, 200:360] = marked_photos().pictures[0]
    row = np.concatenate([BOX + [200, 100, 200, 100], (POINTS + [200, 100]).ravel()]).astype(np.float32)[None]
    return NaturalPictures(("a",), (seen,), (row,), (np.zeros((0, 4), np.float32),))


@pytest.mark.usefixtures("undamaged")
def test_every_landmark_is_on_its_dot() -> None:
    rng, seen = np.random.default_rng(0), {False: 0, True: 0}
    for _ in range(60):
        scene = natural_scene(marked(), NO_NEGATIVES, SceneSettings(smallest=40, plain=0), 256, rng)
        whole = np.floor(scene.landmarks_xy[0]).astype(int)
        if whole.min() < 0 or whole.max() >= 256:
            continue
        found = scene.picture[whole[:, 1], whole[:, 0]].astype(int)
        mirrored = abs(found[0] - GREYS[0]) > abs(found[0] - GREYS[1])
        np.testing.assert_allclose(found, np.array(GREYS)[list(MIRRORED)] if mirrored else GREYS, atol=25)
        seen[bool(mirrored)] += 1
    assert min(seen.values()) > 10


def test_scenes_show_hard_negatives_and_ignore_what_is_unsure() -> None:
    unsure = np.float32([[100, 100, 140, 140]])
    natural = NaturalPictures(("a",), (np.full((360, 480), 90, np.uint8),), (np.zeros((0, 14), np.float32),), (unsure,))
    hard = HardNegatives(np.array([0]), np.float32([[400, 300, 440, 340]]), np.float32([0.9]))
    rng = np.random.default_rng(0)
    settings = SceneSettings(hard=0.99)
    scenes = [natural_scene(natural, hard, settings, 96, rng) for _ in range(20)]
    assert all(scene.picture.shape == (96, 96) and scene.picture.max() > 0 for scene in scenes)
    assert all(len(scene.box_xyxy) == 1 and not scene.counts.any() for scene in scenes)


def test_a_whole_picture_is_extended_to_whole_strides() -> None:
    scene = whole_scene(marked(), 0, 9.0)
    assert scene.picture.shape == (384, 480)
    np.testing.assert_allclose(scene.box_xyxy[0], BOX + [200, 100, 200, 100])
    assert scene.counts.tolist() == [True]
    assert whole_scene(marked(), 0, 90.0).counts.tolist() == [False]
