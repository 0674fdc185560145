"""Kinds of crop: their text, their folders and metadata, and which fit a model."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abaw.core.config import to_plain
from abaw.core.errors import ConfigError
from abaw.core.typed import from_plain
from abaw.stores.crop import ALIGNED_112, Crop, crop_folders, crop_identity, parse_crop, parse_crops

BOX = Crop("box", 224, 0.3)
OFFICIAL = Crop("official", 112)


@pytest.mark.parametrize(
    ("text", "crop", "folder"),
    [
        ("aligned:112", ALIGNED_112, "aligned-112"),
        ("aligned:224", Crop("aligned", 224), "aligned-224"),
        ("box:224:0.3", BOX, "box-224-0.30"),
        ("box:224:0.30", BOX, "box-224-0.30"),
        ("box:96:0", Crop("box", 96, 0.0), "box-96-0.00"),
        ("official:112", OFFICIAL, "official-112"),
        ("other:250", Crop("other", 250), "other-250"),
    ],
)
def test_text_and_folder(text: str, crop: Crop, folder: str) -> None:
    assert parse_crop(text) == crop
    assert crop.folder == folder


@given(
    st.one_of(
        st.builds(Crop, st.just("aligned"), st.integers(16, 1024)),
        st.builds(Crop, st.just("box"), st.integers(16, 1024), st.integers(0, 200).map(lambda cents: cents / 100)),
        st.builds(Crop, st.just("other"), st.integers(1, 5000)),
    )
)
def test_text_and_metadata_are_read_back(crop: Crop) -> None:
    assert parse_crop(str(crop)) == crop
    assert from_plain(Crop, to_plain(crop)) == crop


def test_the_form_in_metadata() -> None:
    assert to_plain(ALIGNED_112) == {"kind": "aligned", "pixels": 112, "margin": None}
    assert to_plain(BOX) == {"kind": "box", "pixels": 224, "margin": 0.3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "crop '': expected aligned:PIXELS or box:PIXELS:MARGIN, such as aligned:112 or box:224:0.3"),
        ("aligned", "crop 'aligned': expected aligned:PIXELS or"),
        ("aligned:big", "crop 'aligned:big': expected aligned:PIXELS or"),
        ("round:112", "crop 'round:112': expected aligned:PIXELS or"),
        ("box:224:0.3:1", "crop 'box:224:0.3:1': expected aligned:PIXELS or"),
        ("box:224", "crop 'box:224': has no margin; expected"),
        ("aligned:112:0.3", "crop aligned:112: a margin belongs to box crops alone"),
        ("aligned:8", "crop aligned:8: expected 16 to 1024 pixels, found 8"),
        ("box:4096:0.3", "crop box:4096:0.30: expected 16 to 1024 pixels, found 4096"),
        ("other:0", "crop other:0: expected 1 to 65535 pixels, found 0"),
        ("box:224:-0.1", "crop box:224:-0.1: expected a margin from 0 to 2 with at most two decimals"),
        ("box:224:0.333", "crop box:224:0.333: expected a margin from 0 to 2 with at most two decimals"),
        ("box:224:30", "crop box:224:30.0: expected a margin from 0 to 2"),
        ("box:224:nan", "crop box:224:nan: expected a margin from 0 to 2"),
        ("official:224", "crop official:224: the official crops have 112 pixels"),
    ],
)
def test_texts_that_are_no_crop(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_crop(text)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "no crop: expected"),
        (["box:224:0.3", "aligned:112", "box:224:0.30"], "crop box:224:0.30 is given twice; remove one of them"),
        (["official:112"], "crop official:112: only import-crops makes such a store"),
        (["other:64"], "crop other:64: only import-crops makes such a store"),
    ],
)
def test_crops_that_cannot_be_made(texts: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_crops(texts)
    assert str(error.value).startswith(message)


def test_one_kind_is_in_the_folder_itself_and_several_are_below() -> None:
    assert crop_folders(Path("faces"), [BOX]) == {BOX: Path("faces")}
    both = crop_folders(Path("faces"), parse_crops(["aligned:112", "box:224:0.3"]))
    assert both == {ALIGNED_112: Path("faces/aligned-112"), BOX: Path("faces/box-224-0.30")}


@pytest.mark.parametrize(
    ("one", "other", "fits"),
    [
        (ALIGNED_112, ALIGNED_112, True),
        (ALIGNED_112, OFFICIAL, True),
        (ALIGNED_112, Crop("aligned", 224), False),
        (ALIGNED_112, BOX, False),
        (BOX, Crop("box", 224, 0.25), False),
        (Crop("other", 224), Crop("other", 224), True),
        (Crop("other", 112), OFFICIAL, False),
    ],
)
def test_which_crops_fit(one: Crop, other: Crop, fits: bool) -> None:
    assert one.fits(other) is other.fits(one) is fits


def test_only_aligned_112_leaves_fingerprints_as_they_were() -> None:
    assert crop_identity(ALIGNED_112) == {}
    assert crop_identity(BOX) == {"crop": {"kind": "box", "pixels": 224, "margin": 0.3}}
