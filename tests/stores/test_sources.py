"""Sources: which are chosen, and what a spec records of them."""

from __future__ import annotations

import pytest

from abaw.core.errors import ConfigError
from abaw.stores.sources import Source, chosen_sources, joined_backbone, spec_backbones, spec_sources
from abaw.stores.spec import Spec

NAMES = ("faces", "sound", "0")


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, (0, 1, 2)),
        ("0", (0,)),
        ("sound", (1,)),
        ("sound+faces", (0, 1)),
        ("0+1", (0, 1)),
        (" 2 + sound ", (1, 2)),
    ],
)
def test_sources_are_chosen_by_number_or_name(choice: str | None, expected: tuple[int, ...]) -> None:
    assert chosen_sources(choice, NAMES) == expected


@pytest.mark.parametrize(
    ("choice", "names", "message"),
    [
        ("sond", NAMES, r"'sond' is not among the --features; expected 0 \(faces\), 1 \(sound\).*Did you mean 'sound'"),
        ("3", NAMES, "'3' is not among"),
        ("-1", NAMES, "'-1' is not among"),
        ("", NAMES, "'' is not among"),
        ("faces+", NAMES, "'' is not among"),
        ("1+sound", NAMES, "a source is chosen twice"),
        ("f", ("f", "f"), "several --features have this name"),
    ],
)
def test_a_choice_that_fits_no_source_is_refused(choice: str, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        chosen_sources(choice, names)


def test_a_spec_of_an_earlier_version_has_one_source_of_all_its_backbones() -> None:
    earlier = Spec("temporal", {}, (), 9, {"backbone": "a/logits+b"})
    assert spec_sources(earlier) == (Source("features", "a/logits+b", 9),)
    assert spec_backbones(earlier) == (("a/logits", "b"),)
    sources = (Source("faces", "a", 6), Source("sound", "x+y", 3, "sound"))
    plain = [{"name": s.name, "backbone": s.backbone, "dim": s.dim, "modality": s.modality} for s in sources]
    spec = Spec("temporal", {}, (), 9, {"backbone": joined_backbone(sources), "sources": plain})
    assert spec_sources(spec) == sources and spec_backbones(spec) == (("a",), ("x+y",))
