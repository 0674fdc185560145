"""Folders of very many stores: sub-folders by hash, which readers do not notice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from abaw.stores.arrow import find_stores
from abaw.stores.features import feature_batch, open_features, write_features
from abaw.stores.folders import MOST_IN_A_FOLDER, StoreFolders, folder_of


def test_few_stores_are_in_the_folder_itself(tmp_path: Path) -> None:
    assert StoreFolders(tmp_path, MOST_IN_A_FOLDER).path("a.arrow") == tmp_path / "a.arrow"
    assert StoreFolders(tmp_path / "none yet", 1).path("a.arrow") == tmp_path / "none yet" / "a.arrow"


def test_many_stores_are_spread_over_sub_folders(tmp_path: Path) -> None:
    folders = StoreFolders(tmp_path, MOST_IN_A_FOLDER + 1)
    places = [folders.path(f"{number}.arrow").parent for number in range(20_000)]
    assert len(set(places)) == 256 and max(map(places.count, set(places))) < 160
    assert places == [StoreFolders(tmp_path, 10**6).path(f"{number}.arrow").parent for number in range(20_000)]


def test_a_folder_keeps_its_layout(tmp_path: Path) -> None:
    (tmp_path / "old.arrow").touch()
    for name in ("tracks_track2.arrow", "people_person1.arrow", "x_left.arrow"):
        (tmp_path / name).touch()
    many = StoreFolders(tmp_path, 10**6)
    assert many.path("old.arrow") == tmp_path / "old.arrow", "not made twice"
    assert many.sub_folder("tracks", ["tracks.arrow"]) == many.sub_folder("people", ["people.arrow"]) == ""
    assert many.sub_folder("other", ["other.arrow"]) and many.sub_folder("x", ["x.arrow"])
    new = many.path("new.arrow")
    new.parent.mkdir()
    new.touch()
    assert StoreFolders(tmp_path, 1).path("new.arrow") == new, "a later, smaller batch finds it"


def test_readers_do_not_notice(tmp_path: Path) -> None:
    folder = tmp_path / "face"
    names = ["b.arrow", "a.arrow", "c.arrow"]
    batch = feature_batch(np.array([1], np.int32), np.array([True]), np.zeros((1, 2), np.float16))
    for name in names[:2]:
        write_features(StoreFolders(folder, 10**6).path(name), 2, [batch], {"backbone": "x"})
    write_features(folder / "c.arrow", 2, [batch], {"backbone": "x"})
    (folder / "part-00").mkdir(exist_ok=True)
    (folder / "part-00" / "._x.arrow").touch()
    (folder / "box-224-0.30").mkdir()
    (folder / "box-224-0.30" / "d.arrow").touch()
    found = find_stores([folder])
    assert [path.name for path in found] == sorted(names)
    assert [path.parent == folder for path in found] == [False, False, True]
    assert {folder_of(path) for path in found} == {folder}
    assert {open_features(path).source.name for path in found} == {"face"}


@pytest.mark.parametrize("name", ["part-0", "part-000", "part-zz", "ab"])
def test_other_folders_are_not_searched(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "x.arrow").touch()
    (tmp_path / "a.arrow").touch()
    assert [path.name for path in find_stores([tmp_path])] == ["a.arrow"]
