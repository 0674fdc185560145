from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from abaw.core.errors import ConfigError, DataError
from abaw.importing.descriptor import Descriptor, LabelFiles, load_descriptor
from abaw.importing.find_stills import find_stills
from abaw.importing.still import key_of, left_out

MAPPED = Descriptor(
    "seven", "labelled", "folder_per_class", labels={"happy": "Happiness", "sad": "Sadness", "nf": None}
)
FLAT = Descriptor("flat", "unlabelled", "flat")


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_labels_come_from_the_map(tmp_path: Path) -> None:
    touch(tmp_path, "sad/b é.PNG", "happy/deep/a.jpg", "happy/notes.txt", "nf/x.jpg", ".cache/y.jpg", "readme.md")
    stills = find_stills(MAPPED, tmp_path)
    assert [(still.key, still.label) for still in stills] == [("happy/deep/a.jpg", 4), ("sad/b é.PNG", 5)]
    assert all(still.path.is_file() for still in stills)


def test_flat_takes_every_image_below(tmp_path: Path) -> None:
    touch(tmp_path, "b.jpg", "people/a.webp", "notes.txt")
    assert [(still.key, still.label) for still in find_stills(FLAT, tmp_path)] == [("b.jpg", -1), ("people/a.webp", -1)]


@pytest.mark.parametrize(
    ("descriptor", "names", "words"),
    [
        pytest.param(
            MAPPED, ["happy/a.jpg", "sad/a.jpg", "hapy/a.jpg"], "no folder of this name.*Did you mean 'happy'", id="?"
        ),
        pytest.param(MAPPED, ["happy/a.jpg"], "missing class folders sad; found happy", id="missing class"),
        pytest.param(MAPPED, ["a.jpg"], "missing class folders happy, sad; found no folder", id="flat images"),
        pytest.param(MAPPED, ["happy/a.txt", "sad/a.txt"], "contains no image", id="no image"),
        pytest.param(FLAT, ["notes.txt"], "contains no image", id="flat, no image"),
    ],
)
def test_faults_of_a_folder(tmp_path: Path, descriptor: Descriptor, names: list[str], words: str) -> None:
    touch(tmp_path, *names)
    with pytest.raises(DataError, match=words):
        find_stills(descriptor, tmp_path)


def test_animations_and_other_formats_are_no_stills_and_are_named(tmp_path: Path) -> None:
    touch(tmp_path / "stills", "a.jpg", "b.JFIF", "c.tif", "d.gif", "sub/e.heic", "f.mp4")
    frames = [PIL.Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    for name in ("g.png", "h.webp"):
        frames[0].save(tmp_path / "stills" / name, save_all=True, append_images=frames[1:])
        frames[0].save(tmp_path / "stills" / f"one_{name}")
    root = tmp_path / "stills"
    assert [still.key for still in find_stills(FLAT, root)] == ["a.jpg", "b.JFIF", "c.tif", "one_g.png", "one_h.webp"]
    assert sorted(key_of(path, root) for path in left_out(root)) == ["d.gif", "g.png", "h.webp", "sub/e.heic"]
    touch(tmp_path / "animations", "d.gif")
    with pytest.raises(DataError, match=r"contains no image.*found d.gif; animations are videos \(`abaw extract`\)"):
        find_stills(FLAT, tmp_path / "animations")


@pytest.mark.parametrize("descriptor", [MAPPED, FLAT])
def test_what_operating_systems_leave_is_no_image_and_no_class(tmp_path: Path, descriptor: Descriptor) -> None:
    touch(tmp_path, "happy/a.jpg", "sad/b.jpg", "happy/._a.jpg", "Thumbs.db", "__MACOSX/happy/c.jpg", ".DS_Store")
    assert [still.key for still in find_stills(descriptor, tmp_path)] == ["happy/a.jpg", "sad/b.jpg"]


def test_a_name_that_is_not_utf_8_has_a_key_that_a_store_can_hold(tmp_path: Path) -> None:
    touch(tmp_path, os.fsdecode(b"caf\xe9.jpg"))
    (still,) = find_stills(FLAT, tmp_path)
    assert (still.key, still.path.exists()) == ("caf\\xe9.jpg", True)


def test_a_missing_root(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        find_stills(FLAT, tmp_path / "none")


def test_expected_counts(tmp_path: Path) -> None:
    touch(tmp_path, "happy/a.jpg", "happy/b.jpg", "sad/a.jpg")
    right = Descriptor("d", "labelled", "folder_per_class", labels=MAPPED.labels, expected={".": 3, "happy": 2})
    assert len(find_stills(right, tmp_path)) == 3
    for expected, words in (({".": 4}, "expected 4 images"), ({"sad": 2}, r"sad: expected 2 images \(d\), found 1")):
        wrong = Descriptor("d", "labelled", "folder_per_class", labels=MAPPED.labels, expected=expected)
        with pytest.raises(DataError, match=words):
            find_stills(wrong, tmp_path)


def test_a_subset_of_a_set_without_splits(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="subset 'train': a set of layout flat has no splits"):
        find_stills(FLAT, tmp_path, "train")


def affectnet(root: Path, **labels: object) -> Path:
    """A set as the descriptor `affectnet` describes it."""
    (root / "annotations").mkdir(parents=True)
    for stem, label in labels.items():
        touch(root, f"images/{stem}.jpg")
        np.save(root / "annotations" / f"{stem}_exp.npy", np.array(label))
    return root


def test_a_label_file_next_to_each_image(tmp_path: Path) -> None:
    stills = find_stills(load_descriptor("affectnet"), affectnet(tmp_path, a="7", b="0", c=1))
    assert [(still.key, still.label) for still in stills] == [
        ("images/a.jpg", 7),
        ("images/b.jpg", 0),
        ("images/c.jpg", 4),
    ]


def test_a_label_that_means_none(tmp_path: Path) -> None:
    files = LabelFiles("annotations/{stem}_exp.npy", "images")
    descriptor = Descriptor("d", "labelled", "npy", labels={"0": "Fear", "8": None}, label_files=files)
    stills = find_stills(descriptor, affectnet(tmp_path, a="8", b="0"))
    assert [still.label for still in stills] == [-1, 3]


def test_two_images_with_one_label_file_are_refused(tmp_path: Path) -> None:
    root = affectnet(tmp_path, **{"1": "1"})
    (root / "images" / "1.jpg").unlink()
    touch(root, "images/train/1.jpg")
    descriptor = load_descriptor("affectnet")
    assert [still.key for still in find_stills(descriptor, root)] == ["images/train/1.jpg"]
    touch(root, "images/val/1.jpg")
    with pytest.raises(DataError) as error:
        find_stills(descriptor, root)
    assert str(error.value) == (
        f"{root}/annotations/1_exp.npy: expected the label of one image, but {root}/images/train/1.jpg and "
        f"{root}/images/val/1.jpg have this name; rename one of them and its label, or remove it"
    )


def test_faults_of_label_files(tmp_path: Path) -> None:
    descriptor = load_descriptor("affectnet")
    with pytest.raises(DataError, match="images: no such folder, though affectnet has its images in it"):
        find_stills(descriptor, tmp_path)
    for name, label, words in (
        ("unknown", "9", "its label is '9', which is not in the label map of affectnet"),
        ("many", ["1", "2"], "expected one label, found 2 values"),
    ):
        with pytest.raises(DataError, match=words):
            find_stills(descriptor, affectnet(tmp_path / name, a=label))
    root = affectnet(tmp_path / "set", a="1")
    (root / "annotations" / "a_exp.npy").write_bytes(b"rubbish")
    with pytest.raises(DataError, match="a_exp.npy: not readable as .npy"):
        find_stills(descriptor, root)
    (root / "annotations" / "a_exp.npy").unlink()
    with pytest.raises(DataError, match="a_exp.npy: no such file; it should contain the label of .*a.jpg"):
        find_stills(descriptor, root)
