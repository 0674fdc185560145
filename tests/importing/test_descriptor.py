from __future__ import annotations

from pathlib import Path

import pytest

from abaw.core.errors import ConfigError
from abaw.importing.descriptor import Descriptor, load_descriptor
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.protocol.manifests import manifests_folder

CSV = "role: labelled\nlayout: csv\nfile: a.csv\nimage_column: i\n"


@pytest.mark.parametrize("path", sorted((manifests_folder() / "datasets").glob("*.yaml")), ids=lambda path: path.stem)
def test_what_ships_is_valid(path: Path) -> None:
    assert load_descriptor(path.stem) == load_descriptor(str(path))


def test_the_generic_ones() -> None:
    labelled = load_descriptor("folder_per_class")
    assert (labelled.role, labelled.layout) == ("labelled", "folder_per_class")
    assert labelled.labels == {name: name for name in EXPRESSION_CLASSES}
    assert load_descriptor("unlabelled").layout == "flat"


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"no data set 'unlabeled'; choose one of .*Did you mean 'unlabelled'"):
        load_descriptor("unlabeled")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("role: labelled\nlayout: flat\n", "does not fit layout flat"),
        ("role: unlabelled\nlayout: folder_per_class\n", "does not fit"),
        ("role: labelled\nlayout: folder_per_class\n", "needs `labels`"),
        ("role: labelled\nlayout: folder_per_class\nlabels: {a: Joy}\n", "labels.a: no class 'Joy'"),
        ("role: labelled\nlayout: folder_per_class\nlabels: {a: Happines}\n", "Did you mean 'Happiness'"),
        ("role: unlabelled\nlayout: tree\n", "layout must be one of folder_per_class, flat, csv, npy, found 'tree'"),
        ("role: labelled\nlayout: cvs\nfile: a\n", "found 'cvs'.*Did you mean 'csv'"),
        ("role: unlabelled\nlayout: flat\nfile: a.csv\n", "unknown key 'file'; the keys of layout flat are role"),
        ("role: unlabelled\nlayout: flat\ntitle: 7\n", "title: expected text, found 7"),
        (
            "role: unlabelled\nlayout: flat\nexpected: {.: many}\n",
            r"expected\..: expected a number of images",
        ),
        ("role: unlabelled\nlayout: flat\nlabels: [a]\n", r"labels: expected a map, found \['a'\]"),
        ("role: labelled\nlayout: csv\nfile: a.csv\n", "the key 'image_column' is missing"),
        (f"{CSV}label_column: l\nvote_columns: {{a: Fear}}\n", "either `label_column` with `labels`, or"),
        (CSV, "either `label_column` with `labels`, or"),
        (f"{CSV}label_column: l\n", "`label_column` needs `labels`"),
        (f"{CSV}vote_columns: {{a: Fear}}\nlabels: {{a: Fear}}\n", "`vote_columns` has none"),
        (f"{CSV}vote_columns: {{a: Fera}}\n", "vote_columns.a: no class 'Fera'.*Did you mean 'Fear'"),
        (f"{CSV}vote_columns: {{a: Fear}}\ncolumns: [i, b]\n", "`columns` has no 'a'; it has i, b"),
        (f"{CSV}vote_columns: {{a: Fear}}\ncolumns: a b\n", "columns: expected a list, found 'a b'"),
        (f"{CSV}vote_columns: {{a: Fear}}\ndelimiter: ', '\n", "delimiter must be one character"),
        (f"{CSV}vote_columns: {{a: Fear}}\nsplits: {{t: t*}}\n", "`splits` needs a `split_column`"),
        (f"{CSV}vote_columns: {{a: Fear}}\nbox_columns: {{left: a}}\n", "box_columns needs left, top, right, bottom"),
        (f"{CSV}vote_columns: {{a: Fear}}\nimage_name: '{{name}}.png'\n", "image_name: .*only {stem} and {suffix}"),
        ("role: labelled\nlayout: npy\nlabels: {0: Fear}\n", "the key 'label_file' is missing"),
        ("role: labelled\nlayout: npy\nlabels: {0: Fear}\nlabel_file: '{a}.npy'\n", "label_file: .*only {stem}"),
        ("role: unlabelled\nlayout: flat\nexpcted: {}\n", "unknown key 'expcted'.*Did you mean 'expected'"),
        ("layout: flat\n", "the key 'role' is missing"),
        ("- a\n", "expected keys with values"),
        ("a: [", "not readable as a descriptor"),
    ],
)
def test_faults_of_a_descriptor_name_the_key(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "mine.yaml").write_text(content)
    with pytest.raises(ConfigError, match=words):
        load_descriptor(str(tmp_path / "mine.yaml"))
    with pytest.raises(ConfigError, match=r"none\.yaml: no such file"):
        load_descriptor(str(tmp_path / "none.yaml"))


def test_numbers_as_keys_are_text() -> None:
    raf = load_descriptor("raf_db")
    assert raf.labels["4"] == "Happiness"
    assert raf.table is not None and raf.table.columns == ("image", "emotion")


def test_a_layout_without_its_part() -> None:
    with pytest.raises(ConfigError, match="csv needs a table"):
        Descriptor("d", "labelled", "csv", labels={"a": "Fear"})
