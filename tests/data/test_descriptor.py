from __future__ import annotations

from pathlib import Path

import pytest

from abaw.core.errors import ConfigError, DataError
from abaw.data.descriptor import Descriptor, find_stills, load_descriptor
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.protocol.manifests import manifests_folder

MAPPED = Descriptor(
    "seven", "labelled", "folder_per_class", labels={"happy": "Happiness", "sad": "Sadness", "nf": None}
)
FLAT = Descriptor("flat", "unlabelled", "flat")


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize("path", sorted((manifests_folder() / "datasets").glob("*.yaml")), ids=lambda path: path.stem)
def test_what_ships_is_valid(path: Path) -> None:
    assert load_descriptor(path.stem) == load_descriptor(str(path))


def test_the_generic_ones() -> None:
    labelled = load_descriptor("folder_per_class")
    assert (labelled.role, labelled.layout) == ("labelled", "folder_per_class")
    assert labelled.labels == {name: name for name in EXPRESSION_CLASSES}
    assert load_descriptor("unlabelled").layout == "flat"


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"no data set 'unlabeled'; there are .*Did you mean 'unlabelled'"):
        load_descriptor("unlabeled")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("role: labelled\nlayout: flat\n", "does not go with layout flat"),
        ("role: unlabelled\nlayout: folder_per_class\n", "does not go with"),
        ("role: labelled\nlayout: folder_per_class\n", "needs `labels`"),
        ("role: labelled\nlayout: folder_per_class\nlabels: {a: Joy}\n", "labels.a: no class 'Joy'"),
        ("role: labelled\nlayout: folder_per_class\nlabels: {a: Happines}\n", "Did you mean 'Happiness'"),
        ("role: unlabelled\nlayout: tree\n", "layout must be one of folder_per_class, flat, found 'tree'"),
        ("role: unlabelled\nlayout: flat\nexpcted: {}\n", "unknown key 'expcted'.*Did you mean 'expected'"),
        ("layout: flat\n", "lacks the key 'role'"),
        ("- a\n", "expected keys with values"),
        ("a: [", "not readable as a descriptor"),
    ],
)
def test_faults_of_a_descriptor_name_the_key(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "mine.yaml").write_text(content)
    with pytest.raises(ConfigError, match=words):
        load_descriptor(str(tmp_path / "mine.yaml"))
    with pytest.raises(ConfigError, match="not readable"):
        load_descriptor(str(tmp_path / "none.yaml"))


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
        pytest.param(MAPPED, ["happy/a.jpg"], "lacks the class folders sad; found happy", id="missing class"),
        pytest.param(MAPPED, ["a.jpg"], "lacks the class folders happy, sad; found no folder", id="flat images"),
        pytest.param(MAPPED, ["happy/a.txt", "sad/a.txt"], "no image there", id="no image"),
        pytest.param(FLAT, ["notes.txt"], "no image there", id="flat, no image"),
    ],
)
def test_faults_of_a_folder(tmp_path: Path, descriptor: Descriptor, names: list[str], words: str) -> None:
    touch(tmp_path, *names)
    with pytest.raises(DataError, match=words):
        find_stills(descriptor, tmp_path)


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
