from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from abaw.core.data_parallel import WHOLE, Part
from abaw.core.errors import ConfigError, DataError
from abaw.data.crops import decode_crops
from abaw.data.face_set import join, labelled_frames, labelled_stills, stills, unlabelled_faces, without_videos_of
from abaw.data.images import ImageReader, TrainBatches
from abaw.protocol.annotations import write_annotation
from abaw.stores.arrow import StoreError
from tests.data.faces import picture, still_store, video_store


def test_labelled_stills_have_a_face_and_a_label(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    jpegs = [picture(0, rng), None, picture(2, rng), picture(3, rng)]
    samples = labelled_stills(still_store(tmp_path / "a.arrow", [0, 1, None, 3], jpeg=jpegs))
    assert samples.labels.tolist() == [0, 3]
    assert samples.rows.tolist() == [0, 3]
    assert samples.groups.tolist() == [-1, -1]
    assert samples.name(1).endswith("a.arrow:0003.jpg")
    assert samples.class_counts().tolist() == [1, 0, 0, 1, 0, 0, 0, 0]


def test_a_store_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"a\.arrow: none of its 3 faces has a label"):
        labelled_stills(still_store(tmp_path / "a.arrow", [None, None, None]))


def test_an_empty_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="none of its 0 images"):
        labelled_stills(still_store(tmp_path / "a.arrow", []))


def test_an_unknown_label_is_refused_with_its_image(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"a\.arrow:0001\.jpg: expected a label from 0 to 7, or -1 for none, found 8"):
        labelled_stills(still_store(tmp_path / "a.arrow", [0, 8]))


def test_votes_come_with_the_labels(tmp_path: Path) -> None:
    shares = [0.5, 0.25, 0.25, 0, 0, 0, 0, 0]
    samples = stills(still_store(tmp_path / "a.arrow", [0, 1, None, None], votes=[shares, None, shares, None]))
    assert samples.labels.tolist() == [0, 1, -1, -1]
    assert samples.votes.tolist() == [shares, [0, 1, *[0] * 6], shares, [0] * 8]
    hidden = samples.without_labels()
    assert (hidden.labels == -1).all() and not hidden.votes.any() and hidden.class_counts().sum() == 0
    assert samples.labels[0] == 0
    assert hidden.fingerprint() != samples.fingerprint()


def test_unlabelled_faces_are_stills_or_every_nth_frame(tmp_path: Path) -> None:
    faces = unlabelled_faces(still_store(tmp_path / "a.arrow", [0, None, 2]), every=2)
    assert faces.rows.tolist() == [0, 1, 2] and (faces.labels == -1).all()
    frames = unlabelled_faces(video_store(tmp_path / "v.arrow", [0, None, 2, 3, 4]), every=2)
    assert frames.rows.tolist() == [0, 3] and frames.groups.tolist() == [0, 0]
    with pytest.raises(StoreError, match="none of its 2 frames shows a face"):
        unlabelled_faces(video_store(tmp_path / "w.arrow", [None, None]), every=1)
    with pytest.raises(ConfigError, match="every is 0"):
        unlabelled_faces(tmp_path / "a.arrow", every=0)


def test_two_crops_of_one_photo_share_its_number(tmp_path: Path) -> None:
    one, two = (
        labelled_stills(still_store(tmp_path / f"{name}.arrow", [0, 1], seed)) for seed, name in enumerate("ab")
    )
    video = unlabelled_faces(video_store(tmp_path / "v.arrow", [0, 1]), 1)
    assert join([one, two, video]).photos().tolist() in ([0, 1, 0, 1, 2, 3], [2, 3, 2, 3, 0, 1])


def test_another_class_order_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="class order differs: expected Neutral, Anger"):
        labelled_stills(still_store(tmp_path / "a.arrow", [0, 1], meta={"classes": ["Anger", "Neutral"]}))


def test_a_damaged_store_is_reported(tmp_path: Path) -> None:
    path = still_store(tmp_path / "a.arrow", [0, 1])
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(StoreError, match=r"a\.arrow: not a readable store"):
        labelled_stills(path)


def test_a_video_among_stills_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="have no labels; give the annotation files"):
        labelled_stills(video_store(tmp_path / "v.arrow", [0, 1]))


def annotate(folder: Path, **labels: list[int]) -> Path:
    for name, values in labels.items():
        write_annotation(folder / f"{name}.txt", np.array(values))
    return folder


def test_frame_k_has_label_line_k_and_every_nth_frame_is_used(tmp_path: Path) -> None:
    video_store(tmp_path / "faces/v.arrow", [0, None, 2, 3, 4, 5, 6])
    annotations = annotate(tmp_path / "txt", v=[7, 1, 2, -1, 4, 5])
    samples, missing = labelled_frames(tmp_path / "faces", annotations, every=1)
    assert samples.rows.tolist() == [0, 2, 4, 5]
    assert samples.labels.tolist() == [7, 2, 4, 5]
    assert missing == []
    assert labelled_frames(tmp_path / "faces", annotations, every=3)[0].rows.tolist() == [0, 5]


@pytest.mark.parametrize("people", [("b_left", "b_right"), ("b_person1", "b_person2")])
def test_people_of_one_video_share_a_group_and_a_missing_video_is_named(
    tmp_path: Path, people: tuple[str, str]
) -> None:
    for name in ("a", *people):
        video_store(tmp_path / f"faces/{name}.arrow", [0, 1])
    labels = {"a": [0, 1], people[0]: [2, 3], people[1]: [4, 5], "gone": [0, 0]}
    annotations = annotate(tmp_path / "txt", **labels)
    samples, missing = labelled_frames(tmp_path / "faces", annotations, every=1)
    assert samples.groups.tolist() == [0, 0, 1, 1, 1, 1]
    assert missing == ["gone"]


def test_faces_of_a_video_are_left_out_whoever_is_seen(tmp_path: Path) -> None:
    for name in ("a_person1", "a_person2", "a_left", "b_person1"):
        video_store(tmp_path / f"faces/{name}.arrow", [0, 1])
    others = ("a_person2", "a_left", "b_person1")
    faces = join([unlabelled_faces(tmp_path / f"faces/{name}.arrow", every=1) for name in others])
    used, _ = labelled_frames(tmp_path / "faces", annotate(tmp_path / "txt", a_person1=[0, 1]), every=1)
    left = without_videos_of(faces, used)
    assert [left.stores[index].store.path.stem for index in left.store_index] == ["b_person1"] * 2


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"other": [0, 1]}, "has no store of any of the 1 annotated videos"),
        ({"v": [-1, -1]}, "no frame of 1 annotated videos"),
    ],
)
def test_annotations_without_frames_are_refused(tmp_path: Path, labels: dict[str, list[int]], message: str) -> None:
    video_store(tmp_path / "faces/v.arrow", [0, 1])
    with pytest.raises(DataError, match=message):
        labelled_frames(tmp_path / "faces", annotate(tmp_path / "txt", **labels), every=1)


def test_every_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="every is 0"):
        labelled_frames(tmp_path, tmp_path, every=0)


def test_joined_sets_keep_samples_and_groups_separate(tmp_path: Path) -> None:
    photos = labelled_stills(still_store(tmp_path / "a.arrow", [0, 1]))
    video_store(tmp_path / "faces/v.arrow", [2, 3])
    frames, _ = labelled_frames(tmp_path / "faces", annotate(tmp_path / "txt", v=[2, 3]), every=1)
    both = join([frames, photos, frames])
    assert both.groups.tolist() == [0, 0, -1, -1, 1, 1]
    assert both.labels.tolist() == [2, 3, 0, 1, 2, 3]
    assert [both.jpeg(index) for index in (2, 4)] == [photos.jpeg(0), frames.jpeg(0)]
    assert both.fingerprint() != join([frames, photos]).fingerprint()
    with pytest.raises(DataError, match="no faces: give"):
        join([])


def test_crops_are_rgb_at_the_requested_size() -> None:
    import cv2

    red = np.zeros((40, 30, 3), np.uint8)
    red[..., 2] = 255
    decoded = decode_crops([cv2.imencode(".png", red)[1].tobytes()], 16, ["red"])
    assert decoded.shape == (1, 3, 16, 16)
    assert (decoded[0, 0] == 255).all() and (decoded[0, 1:] == 0).all()


@pytest.mark.parametrize("cache_mb", [0, 64])
@pytest.mark.parametrize("damaged", [b"", b"no picture"])
def test_a_damaged_crop_is_reported_by_name(tmp_path: Path, cache_mb: int, damaged: bytes) -> None:
    path = still_store(tmp_path / "a.arrow", [0, 1], jpeg=[picture(0, np.random.default_rng(0)), damaged])
    with pytest.raises(DataError, match=r"a\.arrow:0001\.jpg: its crop is not a readable image"):
        ImageReader(labelled_stills(path), 16, cache_mb).read(np.array([0, 1]))


def test_reading_from_memory_equals_reading_from_the_store(tmp_path: Path) -> None:
    samples = labelled_stills(still_store(tmp_path / "a.arrow", [label % 8 for label in range(20)]))
    calls: list[tuple[int, int | None]] = []
    cached = ImageReader(samples, 24, 64, lambda done, total: calls.append((done, total)))
    direct = ImageReader(samples, 24, 0)
    assert calls == [(20, 20)]
    chosen = np.array([3, 3, 19, 0])
    for a, b in zip(cached.read(chosen), direct.read(chosen), strict=True):
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b
    assert cached.read(chosen).labels.tolist() == [3, 3, 3, 0]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("cache_mb", [0, 64])
def test_a_gpu_decodes_and_keeps_images_itself(tmp_path: Path, cache_mb: int) -> None:
    samples = labelled_stills(still_store(tmp_path / "a.arrow", list(range(8)) * 4))
    images = ImageReader(samples, 24, cache_mb, device="cuda").read(np.array([3, 0])).images
    expected = ImageReader(samples, 24, cache_mb).read(np.array([3, 0])).images
    assert images.is_cuda and (images.cpu().int() - expected.int()).abs().float().mean() < 4


def test_a_batch_depends_only_on_seed_step_and_part(tmp_path: Path) -> None:
    reader = ImageReader(labelled_stills(still_store(tmp_path / "a.arrow", list(range(8)) * 4)), 16, 64)
    batches = TrainBatches(reader, "uniform", 6, seed=0)
    found: list[tuple[str, ...]] = []
    thread = threading.Thread(target=lambda: found.append(batches(3, WHOLE).ids))
    thread.start()
    thread.join()
    assert found == [TrainBatches(reader, "uniform", 6, seed=0)(3, WHOLE).ids]
    others = [batches(4, WHOLE), batches(3, Part(1, 2)), TrainBatches(reader, "uniform", 6, seed=1)(3, WHOLE)]
    assert all(other.ids != found[0] for other in others)
    twice = TrainBatches(reader, "uniform", 12, seed=0)(3, WHOLE)
    assert twice.ids == batches(3, Part(0, 2)).ids + batches(3, Part(1, 2)).ids


def test_a_batch_has_labelled_and_unlabelled_images(tmp_path: Path) -> None:
    labelled = ImageReader(labelled_stills(still_store(tmp_path / "a.arrow", list(range(8)) * 4)), 16, 64)
    faces = unlabelled_faces(still_store(tmp_path / "b.arrow", [None] * 40), 1)
    unlabelled = ImageReader(faces, 16, 64)
    batches = TrainBatches(labelled, "uniform", 6, 0, unlabelled, unlabelled_ratio=3)
    batch = batches(2, WHOLE)
    assert batch.unlabelled is not None
    assert len(batch.unlabelled.images) == 18 and (batch.unlabelled.labels == -1).all()
    assert len(batch.ids) == 24
    # The labelled faces of a step do not depend on whether there are unlabelled ones.
    assert batch.labelled.ids == TrainBatches(labelled, "uniform", 6, 0)(2, WHOLE).ids
    with pytest.raises(ConfigError, match="unlabelled_ratio is 0"):
        TrainBatches(labelled, "uniform", 6, 0, unlabelled, 0)


def test_a_batch_of_one_is_refused(tmp_path: Path) -> None:
    reader = ImageReader(labelled_stills(still_store(tmp_path / "a.arrow", [0, 1])), 16, 64)
    with pytest.raises(ConfigError, match="batch_size is 1"):
        TrainBatches(reader, "uniform", 1, seed=0)
