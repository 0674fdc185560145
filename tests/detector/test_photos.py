"""Photos, and the labels that a teacher gives them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.detector.backdrops import read_backgrounds
from abaw.detector.photos import FacePhotos, label_photo, read_photos
from tests.video.fakes import Blobs

FACE = (50, 40, 90, 100)


def photo(*faces: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    picture = np.full((160, 160), 20, np.uint8)
    for x1, y1, x2, y2 in faces:
        picture[y1:y2, x1:x2] = 220
    return picture


def folder_of(folder: Path, **photos: NDArray[np.uint8]) -> Path:
    folder.mkdir()
    for name, picture in photos.items():
        assert cv2.imwrite(str(folder / f"{name}.png"), picture)
    return folder


def test_labels_are_in_pixels_of_the_photo() -> None:
    labels = label_photo(photo(FACE), Blobs())
    np.testing.assert_allclose(labels[:4], FACE, atol=1)
    assert (labels[4] < labels[6]) and (labels[5] < labels[11]), "left eye before the right, eyes above the mouth"


@pytest.mark.parametrize("faces", [(), (FACE, (110, 10, 150, 60))])
def test_a_photo_of_nobody_or_of_two_has_no_label(faces: tuple[tuple[int, int, int, int], ...]) -> None:
    assert np.isnan(label_photo(photo(*faces), Blobs())).all()


def test_labels_are_cached(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "photos", A_B_0001=photo(FACE), A_B_0002=photo())
    teacher = Blobs()
    first = read_photos([folder], teacher, tmp_path / "labels")
    asked = teacher.whole
    again = read_photos([folder], teacher, tmp_path / "labels")
    assert teacher.whole == asked > 0
    assert first.names == again.names == ("A_B_0001",)
    assert first.fingerprint() == again.fingerprint()
    assert cv2.imwrite(str(folder / "A_B_0001.png"), photo((20, 20, 70, 90)))
    assert read_photos([folder], teacher, tmp_path / "labels").fingerprint() != first.fingerprint()
    assert teacher.whole > asked


def test_all_photos_of_a_person_are_in_the_same_part() -> None:
    names = tuple(f"Person{number // 3}_0{number % 3 + 1:03d}" for number in range(300))
    pictures = (photo(FACE),) * 300
    photos = FacePhotos(names, pictures, np.zeros((300, 4), np.float32), np.zeros((300, 5, 2), np.float32))
    training, apart = photos.split(0.2)
    assert len(training) + len(apart) == 300 and 30 < len(apart) < 90
    people = [{name.split("_")[0] for name in part.names} for part in (training, apart)]
    assert not people[0] & people[1]
    assert photos.pick(np.arange(50)).split(0.2)[1].names == tuple(n for n in names[:50] if n in apart.names)


def test_unusable_folders_and_photos_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="contains no photos"):
        read_photos([tmp_path / "none"], Blobs(), tmp_path / "labels")
    folder = folder_of(tmp_path / "photos", a=photo())
    with pytest.raises(DataError, match="finds no clear face in these 1 photos"):
        read_photos([folder], Blobs(), tmp_path / "labels")
    (folder / "b.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"b\.png: cannot be read"):
        read_photos([folder], Blobs(), tmp_path / "labels")


def test_backgrounds_with_a_face_are_left_out(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "grounds", empty=photo(), face=photo(FACE), tiny=photo()[:40, :40])
    kept, left_out = read_backgrounds([folder], Blobs())
    assert [picture.shape for picture in kept] == [(160, 160)]
    assert [file.name for file in left_out] == ["face.png"]
    with pytest.raises(DataError, match="no such picture or folder"):
        read_backgrounds([tmp_path / "gone"], Blobs())
