from __future__ import annotations

import errno
import shutil
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from abaw.core.artifacts import StorageError
from abaw.core.errors import DataError
from abaw.importing import import_stills as module
from abaw.importing.descriptor import Descriptor
from abaw.importing.face_finder import FoundFace, LargestFace, WholeImage, open_finder
from abaw.importing.find_stills import find_stills
from abaw.importing.import_stills import fingerprint, import_stills, read_rgb
from abaw.importing.still import Still
from abaw.stores.arrow import StoreError
from abaw.stores.crop import ALIGNED_112, Crop
from abaw.stores.faces import image_faces_writer, open_faces
from abaw.video.detecting.detections import Detections

FLAT = Descriptor("flat", "unlabelled", "flat")
LABELLED = Descriptor("two", "labelled", "folder_per_class", labels={"a": "Anger", "o": "Other"})


NO_DETECTOR = partial(open_finder, "none")


def save(path: Path, colour: tuple[int, int, int] = (200, 120, 40), size: tuple[int, int] = (60, 80)) -> None:
    """A picture of one RGB colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((*size, 3), colour[::-1], np.uint8)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())


class FakeDetector:
    """Finds the given boxes of a picture of 80×60; a picture that is black shows no face."""

    identity = "fake 1"

    def __init__(self, *boxes: tuple[float, ...], landmarks: bool = True) -> None:
        self.boxes = np.array(boxes, np.float32).reshape(-1, 4)
        self.landmarks = landmarks

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        boxes = self.boxes * (image.shape[1] / 80) if image.max() > 0 else self.boxes[:0]
        points = np.array([[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.35, 0.8], [0.65, 0.8]], np.float32)
        sizes = (boxes[:, 2:] - boxes[:, :2])[:, None]
        landmarks = boxes[:, None, :2] + points * sizes if self.landmarks else None
        return Detections(boxes, np.linspace(0.9, 0.5, len(boxes), dtype=np.float32), landmarks)


def test_the_largest_face_is_taken_with_its_box_and_landmarks(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    finder = LargestFace(FakeDetector((0, 0, 10, 10), (20, 10, 60, 50), (0, 0, 5, 60)))
    report = import_stills(
        FLAT, find_stills(FLAT, tmp_path), lambda threads: finder, {ALIGNED_112: tmp_path / "out.arrow"}
    )
    assert (report.num_rows, report.num_faces, report.unreadable) == (1, 1, [])
    faces = open_faces(tmp_path / "out.arrow")
    (row,) = faces.store.table.to_pylist()
    assert row["image"] == "a.png"
    assert row["label"] is None
    assert row["box_xyxy"] == pytest.approx([20, 10, 60, 50], abs=0.5)
    assert row["landmarks_xy"][:4] == pytest.approx([32, 24, 48, 24], abs=0.5)
    assert row["score"] == pytest.approx(0.7)
    crop = cv2.imdecode(np.frombuffer(row["jpeg"], np.uint8), cv2.IMREAD_COLOR)
    assert crop.shape == (112, 112, 3)
    assert np.abs(crop[56, 56].astype(int) - (40, 120, 200)).max() < 8
    assert str(faces.meta["detector"]).startswith("fake 1")


def test_a_detector_without_landmarks_gives_none(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    finder = LargestFace(FakeDetector((20, 10, 60, 50), landmarks=False))
    import_stills(FLAT, find_stills(FLAT, tmp_path), lambda threads: finder, {ALIGNED_112: tmp_path / "out.arrow"})
    (row,) = open_faces(tmp_path / "out.arrow").store.table.to_pylist()
    assert row["landmarks_xy"] is None
    assert row["box_xyxy"] == pytest.approx([20, 10, 60, 50], abs=0.5)
    assert row["jpeg"] is not None


def test_labels_faceless_and_unreadable_images(tmp_path: Path) -> None:
    save(tmp_path / "set" / "a" / "1 é.png")
    save(tmp_path / "set" / "a" / "2.png", colour=(0, 0, 0))
    save(tmp_path / "set" / "o" / "3.png")
    (tmp_path / "set" / "o" / "4.jpg").write_bytes(b"rubbish")
    (tmp_path / "set" / "o" / "5.jpg").write_bytes(b"")
    stills = find_stills(LABELLED, tmp_path / "set")
    seen: list[tuple[int, int | None]] = []
    finder = LargestFace(FakeDetector((0, 0, 50, 50)))
    report = import_stills(
        LABELLED,
        stills,
        lambda threads: finder,
        {ALIGNED_112: tmp_path / "s.arrow"},
        progress=lambda *at: seen.append(at),
    )
    assert (report.num_rows, report.num_faces, report.unreadable) == (5, 2, ["o/4.jpg", "o/5.jpg"])
    faces = open_faces(tmp_path / "s.arrow")
    assert faces.keys.to_pylist() == ["a/1 é.png", "a/2.png", "o/3.png", "o/4.jpg", "o/5.jpg"]
    assert faces.labels.tolist() == [1, 1, 7, 7, 7]
    assert faces.valid.tolist() == [True, False, True, False, False]
    assert seen[-1] == (5, 5)


@pytest.mark.parametrize("size", [(48, 48), (160, 160), (60, 90)])
def test_without_a_detector_the_whole_image_is_taken(tmp_path: Path, size: tuple[int, int]) -> None:
    save(tmp_path / "a.png", size=size)
    import_stills(FLAT, find_stills(FLAT, tmp_path), NO_DETECTOR, {ALIGNED_112: tmp_path / "s.arrow"})
    (row,) = open_faces(tmp_path / "s.arrow").store.table.to_pylist()
    crop = cv2.imdecode(np.frombuffer(row["jpeg"], np.uint8), cv2.IMREAD_COLOR)
    assert crop.shape == (112, 112, 3)
    assert np.abs(crop.astype(int) - (40, 120, 200)).max() < 8
    assert row["box_xyxy"] is None and row["score"] is None


def test_many_images_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 3)
    for index in range(7):
        save(tmp_path / f"{index}.png", size=(8, 8))
    report = import_stills(FLAT, find_stills(FLAT, tmp_path), NO_DETECTOR, {ALIGNED_112: tmp_path / "out" / "s.arrow"})
    faces = open_faces(tmp_path / "out" / "s.arrow")
    assert report.num_rows == len(faces) == 7
    assert faces.keys.to_pylist() == [f"{index}.png" for index in range(7)]


def test_grey_images_become_rgb_and_rubbish_none(tmp_path: Path) -> None:
    (tmp_path / "grey.png").write_bytes(cv2.imencode(".png", np.full((4, 5), 99, np.uint8))[1].tobytes())
    image = read_rgb(tmp_path / "grey.png")
    assert image is not None and image.shape == (4, 5, 3) and (image == 99).all()
    (tmp_path / "none.png").write_bytes(b"rubbish")
    assert read_rgb(tmp_path / "none.png") is None
    with pytest.raises(DataError, match=r"gone\.png: no such file"):
        read_rgb(tmp_path / "gone.png")


def test_votes_and_boxes_of_the_set(tmp_path: Path) -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    image[:, 40:] = 255
    (tmp_path / "a.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
    path, shares = tmp_path / "a.png", (0.25, 0.0, 0.0, 0.0, 0.75, 0.0, 0.0, 0.0)
    stills = [
        Still("a.png#1", path, -1, shares, (5, 10, 35, 45)),
        Still("a.png#2", path, 4, None, (45, 10, 75, 45)),
        Still("a.png", path, 2),
    ]
    import_stills(LABELLED, stills, NO_DETECTOR, {ALIGNED_112: tmp_path / "s.arrow"})
    faces = open_faces(tmp_path / "s.arrow")
    assert faces.keys.to_pylist() == ["a.png#1", "a.png#2", "a.png"]
    assert faces.labels.tolist() == [-1, 4, 2]
    assert np.isnan(faces.votes).all(axis=1).tolist() == [False, True, True]
    assert faces.votes[0].tolist() == list(shares)
    rows = faces.store.table.to_pylist()
    assert [row["box_xyxy"] for row in rows] == [[5, 10, 35, 45], [45, 10, 75, 45], None]
    middles = [cv2.imdecode(np.frombuffer(row["jpeg"], np.uint8), 0)[30:80, 30:80].mean() for row in rows[:2]]
    assert middles[0] < 10 and middles[1] > 245


def test_the_fingerprint_changes_with_files_labels_and_finder(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    still = find_stills(FLAT, tmp_path)[0]
    prints = [
        fingerprint(FLAT, [still], "none"),
        fingerprint(FLAT, [still], "a detector"),
        fingerprint(LABELLED, [Still(still.key, still.path, 1)], "none"),
        fingerprint(LABELLED, [Still(still.key, still.path, 1, votes=(0.5, 0.5))], "none"),
        fingerprint(LABELLED, [Still(still.key, still.path, 1, box_xyxy=(0, 0, 5, 5))], "none"),
        fingerprint(FLAT, [], "none"),
    ]
    assert len(set(prints)) == 6
    assert fingerprint(FLAT, [still], "none") == prints[0]


def test_other_pictures_of_the_same_names_and_sizes_are_refused(tmp_path: Path) -> None:
    for name in ("a.bmp", "b.bmp"):
        save(tmp_path / "set" / name)
    out = tmp_path / "s.arrow"

    def again(root: Path) -> object:
        return import_stills(FLAT, find_stills(FLAT, root), NO_DETECTOR, {ALIGNED_112: out})

    assert again(tmp_path / "set") is not None
    shutil.copytree(tmp_path / "set", tmp_path / "copy", copy_function=shutil.copyfile)
    assert again(tmp_path / "copy") is None, "a copy has other times"
    before, size = out.read_bytes(), (tmp_path / "copy" / "b.bmp").stat().st_size
    save(tmp_path / "copy" / "b.bmp", colour=(0, 255, 0))
    assert (tmp_path / "copy" / "b.bmp").stat().st_size == size
    with pytest.raises(StoreError) as error:
        again(tmp_path / "copy")
    assert str(error.value) == (
        f"{out}: was made from other pictures of the same names; choose another --out or remove it"
    )
    assert out.read_bytes() == before and again(tmp_path / "set") is None


def test_stores_of_versions_that_did_not_record_contents_are_kept(tmp_path: Path) -> None:
    save(tmp_path / "set" / "a.png")
    stills, path = find_stills(FLAT, tmp_path / "set"), tmp_path / "s.arrow"
    import_stills(FLAT, stills, NO_DETECTOR, {ALIGNED_112: path})
    faces = open_faces(path)
    meta = {key: value for key, value in faces.meta.items() if key not in ("kind", "contents")}
    earlier = tmp_path / "earlier.arrow"
    with image_faces_writer(earlier, meta) as write:
        for batch in faces.store.table.to_batches():
            write(batch)
    before = earlier.read_bytes()
    assert import_stills(FLAT, stills, NO_DETECTOR, {ALIGNED_112: earlier}) is None
    assert earlier.read_bytes() == before


def test_a_full_disk_leaves_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.png")

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("abaw.core.artifacts._fsync", full)
    with pytest.raises(StorageError, match=r"s\.arrow: cannot write: the disk is full"):
        import_stills(FLAT, find_stills(FLAT, tmp_path), NO_DETECTOR, {ALIGNED_112: tmp_path / "out" / "s.arrow"})
    assert list((tmp_path / "out").iterdir()) == []


def test_an_image_whose_processing_fails_is_a_row_without_a_face(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    save(tmp_path / "b.png", size=(50, 50))

    class Broken(WholeImage):
        def __call__(self, image: NDArray[np.uint8], box_xyxy: object = None) -> FoundFace:
            if image.shape[0] == 50:
                raise ZeroDivisionError("division by zero")
            return super().__call__(image)

    report = import_stills(
        FLAT, find_stills(FLAT, tmp_path), lambda threads: Broken(), {ALIGNED_112: tmp_path / "out.arrow"}
    )
    assert report is not None
    assert [(key, str(error)) for key, error in report.failed] == [("b.png", "ZeroDivisionError: division by zero")]
    assert open_faces(tmp_path / "out.arrow").valid.tolist() == [True, False]


BOX = Crop("box", 48, 0.25)


def test_several_kinds_of_crop_come_from_one_search(tmp_path: Path) -> None:
    save(tmp_path / "set" / "a.png")
    save(tmp_path / "set" / "b.png", colour=(0, 0, 0))
    stills = find_stills(FLAT, tmp_path / "set")
    paths = {ALIGNED_112: tmp_path / "aligned" / "s.arrow", BOX: tmp_path / "box" / "s.arrow"}
    searched: list[int] = []

    class Counting(LargestFace):
        def __call__(self, image: NDArray[np.uint8], box_xyxy: object = None) -> FoundFace | None:
            searched.append(len(image))
            return LargestFace.__call__(self, image)

    finder = Counting(FakeDetector((20, 10, 60, 50)))
    report = import_stills(FLAT, stills, lambda threads: finder, paths)
    assert report is not None and (report.num_rows, report.num_faces, len(searched)) == (2, 1, 2)
    aligned, box = (open_faces(path) for path in paths.values())
    assert (aligned.crop, box.crop) == (ALIGNED_112, BOX)
    assert aligned.store.table.drop_columns("jpeg") == box.store.table.drop_columns("jpeg")
    shapes = [cv2.imdecode(np.frombuffer(one.jpeg(0) or b"", np.uint8), 1).shape[:2] for one in (aligned, box)]
    assert shapes == [(112, 112), (48, 48)]
    assert box.jpeg(1) is None

    import_stills(FLAT, stills, lambda threads: finder, {ALIGNED_112: tmp_path / "alone.arrow"})
    assert (tmp_path / "alone.arrow").read_bytes() == paths[ALIGNED_112].read_bytes()

    contents = paths[BOX].read_bytes()
    paths[BOX].unlink()
    before = paths[ALIGNED_112].stat().st_mtime_ns
    assert import_stills(FLAT, stills, lambda threads: finder, paths) is not None
    assert paths[ALIGNED_112].stat().st_mtime_ns == before
    assert paths[BOX].read_bytes() == contents
    assert import_stills(FLAT, stills, lambda threads: finder, paths) is None
    with pytest.raises(StoreError, match="with other settings"):
        import_stills(FLAT, stills, lambda threads: finder, {Crop("box", 48, 0.5): paths[BOX]})


def test_a_full_disk_leaves_none_of_several_stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "set" / "a.png")
    paths = {crop: tmp_path / "out" / crop.folder / "s.arrow" for crop in (ALIGNED_112, BOX)}

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("abaw.core.artifacts._fsync", full)
    with pytest.raises(StorageError, match="the disk is full"):
        import_stills(FLAT, find_stills(FLAT, tmp_path / "set"), NO_DETECTOR, paths)
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_crops_of_a_set_are_resized_to_the_kind_that_they_are(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    import_stills(FLAT, find_stills(FLAT, tmp_path), NO_DETECTOR, {BOX: tmp_path / "s.arrow"})
    faces = open_faces(tmp_path / "s.arrow")
    assert faces.crop == BOX
    assert cv2.imdecode(np.frombuffer(faces.jpeg(0) or b"", np.uint8), 1).shape == (48, 48, 3)
