"""The faces of a benchmark cell: nested and stratified labels, and none that are scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abaw.core.errors import ConfigError, DataError
from abaw.data.face_set import FaceSet
from abaw.data.label_portions import BenchFaces, Portion, Sources, Split, portions, read_faces, split
from abaw.data.settings import Pool, UnlabelledFrom
from tests.data.faces import picture, still_store

KINDS: tuple[UnlabelledFrom, ...] = ("all", "rest", "other")
COUNTS = (60, 30, 3, 20, 80, 50, 40, 1)
LABELS = [label for label, count in enumerate(COUNTS) for _ in range(count)] + [None] * 10


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> BenchFaces:
    folder = tmp_path_factory.mktemp("faces")
    return _read(
        [still_store(folder / "train.arrow", LABELS, seed=1, meta={"source": "set"})],
        [still_store(folder / "valid.arrow", [0, 1, 2, None], seed=2, meta={"source": "other"})],
        [still_store(folder / "more.arrow", [3] * 5, seed=3, meta={"source": "more"})],
    )


def _read(labelled: list[Path], scored: list[Path], unlabelled: list[Path]) -> BenchFaces:
    return read_faces(Sources(tuple(labelled), tuple(scored), tuple(unlabelled), 1))


def _names(faces: FaceSet | None) -> set[str]:
    return set() if faces is None else {faces.name(index) for index in range(len(faces))}


def _known(part: Split) -> set[str]:
    return _names(part.training) | _names(part.selection)


@given(st.sampled_from([0.02, 0.05, 0.1, 0.25, 1.0]), st.integers(0, 50), st.sampled_from([0.0, 0.1, 0.3]))
def test_each_face_is_in_one_part_and_each_class_has_its_share(
    faces: BenchFaces, share: float, seed: int, holdout: float
) -> None:
    part = split(faces, Portion(share=share), holdout, seed)
    known = part.training.class_counts() + (0 if part.selection is None else part.selection.class_counts())
    assert known.tolist() == [max(1, round(share * count)) for count in COUNTS]
    places = [_names(part.training), _names(part.selection), _names(part.unlabelled)]
    assert sum(map(len, places)) == len(set.union(*places)) == len(LABELS) + 5
    assert part.unlabelled is not None and (part.unlabelled.labels == -1).all() and not part.unlabelled.votes.any()
    assert (part.selection is None) == (holdout == 0)
    assert part.training.class_counts().min() >= 1  # the only face of a class is used for training, not for selection


def test_portions_of_a_seed_are_nested_and_seeds_differ(faces: BenchFaces) -> None:
    chosen = [_known(split(faces, Portion(share=share), 0.1, 4)) for share in (0.03, 0.05, 0.1, 0.25, 1.0)]
    assert all(small < large for small, large in zip(chosen, chosen[1:], strict=False))
    assert chosen[2] != _known(split(faces, Portion(share=0.1), 0.1, 5))


def test_the_same_seed_gives_the_same_faces(faces: BenchFaces) -> None:
    one, other = (split(faces, Portion(share=0.1), 0.2, 3) for _ in range(2))
    assert one.training.fingerprint() == other.training.fingerprint()
    assert _names(one.selection) == _names(other.selection)


def test_a_fixed_number_of_labels_per_class(tmp_path: Path) -> None:
    labels = [0] * 12 + [4] * 30
    faces = _read(
        [still_store(tmp_path / "a.arrow", labels)], [still_store(tmp_path / "b.arrow", [0], 9, {"source": 1})], []
    )
    few = split(faces, Portion(per_class=5), 0.0, 0)
    assert few.training.class_counts().tolist() == [5, 0, 0, 0, 5, 0, 0, 0]
    assert few.unlabelled is not None and len(few.unlabelled) == 32
    with pytest.raises(DataError, match="20 per class: class Neutral has 12 labelled photos"):
        split(faces, Portion(per_class=20), 0.0, 0)


def test_with_all_labels_nothing_is_unlabelled(tmp_path: Path) -> None:
    faces = _read(
        [still_store(tmp_path / "a.arrow", [0, 1])], [still_store(tmp_path / "b.arrow", [0], 9, {"source": 1})], []
    )
    assert split(faces, Portion(share=1.0), 0.0, 0).unlabelled is None


def test_a_pool_takes_unlabelled_faces_of_one_kind_up_to_a_limit(faces: BenchFaces) -> None:
    share = Portion(share=0.1)
    every, rest, other = (_names(split(faces, share, 0.0, 0, Pool(source)).unlabelled) for source in KINDS)
    assert rest | other == every and not rest & other and len(other) == 5
    few = split(faces, share, 0.0, 0, Pool("rest", 20)).unlabelled
    again = split(faces, share, 0.0, 0, Pool("rest", 20)).unlabelled
    assert len(_names(few)) == 20 and _names(few) < rest and _names(few) == _names(again)
    assert _names(few) != _names(split(faces, share, 0.0, 1, Pool("rest", 20)).unlabelled)
    assert _names(split(faces, share, 0.0, 0, Pool("other", 20)).unlabelled) == other
    # The labels do not depend on the pool.
    assert _known(split(faces, share, 0.1, 0, Pool("other"))) == _known(split(faces, share, 0.1, 0))


def test_all_crops_of_a_photo_stay_together(tmp_path: Path) -> None:
    """Two detectors, two stores: a photo's second crop must not move to the selection split or lose its label."""
    labels = [label for label in range(4) for _ in range(20)]
    stores = [still_store(tmp_path / f"{seed}.arrow", labels, seed, {"source": "set"}) for seed in (1, 2)]
    faces = _read(stores, [still_store(tmp_path / "valid.arrow", [0], 9, {"source": "other"})], [])
    part = split(faces, Portion(share=0.5), 0.2, 0)
    places = [
        {name.rpartition(":")[2] for name in _names(each)} for each in (part.training, part.selection, part.unlabelled)
    ]
    assert [len(place) for place in places] == [32, 8, 40]
    assert sum(map(len, places)) == len(set.union(*places))
    assert len(part.training) == 64


def test_scored_faces_are_used_for_nothing_else(tmp_path: Path) -> None:
    """The same photo by data set and name (cropped again), and the same crop under another name."""
    rng = np.random.default_rng(0)
    scored = still_store(tmp_path / "valid.arrow", [0, 1, 2, None], 1, {"source": "set"})
    crops = [picture(label, rng) for label in (0, 1, 2, 3)]
    same_crop = _read([scored], [still_store(tmp_path / "x.arrow", [0], 5, {"source": "x"})], []).labelled.jpeg(2)
    names = ["0000.jpg", "a.jpg", "b.jpg", "c.jpg"]
    train = still_store(
        tmp_path / "train.arrow", [0, 1, 2, 3], 2, {"source": "set"}, image=names, jpeg=[*crops[:3], same_crop]
    )
    more = still_store(
        tmp_path / "more.arrow",
        [None, None],
        3,
        {"source": "web"},
        image=["1.jpg", "2.jpg"],
        jpeg=[same_crop, crops[3]],
    )
    faces = _read([train], [scored], [more])
    assert {name.rpartition(":")[2] for name in _names(faces.labelled)} == {"a.jpg", "b.jpg"}
    assert {name.rpartition(":")[2] for name in _names(faces.unlabelled)} == {"2.jpg"}
    assert faces.left_out == 3 and len(faces.scored) == 3
    with pytest.raises(DataError, match="--labelled: all of its 4 faces are also in --scored"):
        _read([scored], [scored], [])


@pytest.mark.parametrize(
    ("shares", "counts", "message"),
    [
        ((), (), "either shares .* or per_class"),
        ((0.1,), (5,), "either shares .* or per_class"),
        ((0.0,), (), "shares: 0; expected more than 0"),
        ((1.5,), (), "expected more than 0 and at most 1"),
        ((), (0,), "per_class: 0; expected at least 1"),
        ((0.1, 0.1), (), "found one twice"),
    ],
)
def test_invalid_portions_are_refused(shares: tuple[float, ...], counts: tuple[int, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        portions(shares, counts)


def test_portions_have_names_headings_and_positions() -> None:
    assert [(p.name, p.heading, p.value) for p in (*portions((0.01, 1.0), ()), *portions((), (25,)))] == [
        ("share=0.01", "1 %", 1.0),
        ("share=1", "100 %", 100.0),
        ("per_class=25", "25 per class", 25.0),
    ]
