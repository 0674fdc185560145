"""The manifests that ship agree with the protocol and the code."""

from __future__ import annotations

import pytest

from abaw.core.errors import ConfigError
from abaw.protocol.classes import ACTION_UNITS, COMPOUND_CLASSES, EXPRESSION_CLASSES, NUM_EXPRESSIONS, UNLABELLED
from abaw.protocol.editions import edition, owner_of_header
from abaw.protocol.manifests import load_manifest, manifests_folder


def test_the_sixth_edition() -> None:
    sixth = edition("abaw6")
    assert sixth.header == "image_location," + ",".join(EXPRESSION_CLASSES)
    assert sixth.num_classes == NUM_EXPRESSIONS == 8


@pytest.mark.parametrize("name", load_manifest("editions"))
def test_every_edition(name: str) -> None:
    found = edition(name)
    headers = {
        ("expression", "rows"): "image_location," + ",".join(EXPRESSION_CLASSES),
        ("expression", "files"): ",".join(EXPRESSION_CLASSES),
        ("valence_arousal", "rows"): "image_location,valence,arousal",
        ("action_units", "rows"): "image_location," + ",".join(ACTION_UNITS),
        ("mtl", "rows"): "image,valence,arousal,expression,aus",
        ("compound", "rows"): "image_location," + ",".join(COMPOUND_CLASSES),
    }
    assert found.header == headers[found.task, found.layout]
    assert found.num_classes == {"compound": 7, "valence_arousal": 0, "action_units": 0}.get(found.task, 8)
    assert found.title.startswith(name.removeprefix("abaw").split("_")[0])
    assert found.template
    owner = owner_of_header(found.header.replace(",", " , "))
    assert owner is not None and name in owner[1]


def test_assumptions_are_stated() -> None:
    assert {name for name in load_manifest("editions") if edition(name).note} == {"abaw8"}


def test_owners_of_other_headers() -> None:
    assert owner_of_header("image,expression") == ("ABAW 4, learning from synthetic data", ())
    assert owner_of_header("image,valence") is None
    headers = {facts["header"] for facts in load_manifest("editions").values()}
    assert not headers & set(load_manifest("other_headers").values())


def test_an_unknown_edition_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="choose from abaw3, abaw5, abaw6.*Did you mean 'abaw6'"):
        edition("abaw66")


@pytest.mark.parametrize("name", ["abaw11", "abaw11_mtl"])
def test_an_edition_whose_format_has_not_been_seen_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(ConfigError, match=f"edition '{name}' is not supported: .*11th.* not been seen"):
        edition(name)


def test_classes_of_the_manifest_match_the_code() -> None:
    facts = load_manifest("expression")
    assert tuple(facts["classes"]) == EXPRESSION_CLASSES
    assert facts["unlabelled"] == UNLABELLED
    assert set(facts["class_counts"]["train"]) == set(EXPRESSION_CLASSES)


@pytest.mark.parametrize(("split", "total"), [("train", 585_317), ("validation", 280_532)])
def test_published_class_counts_add_up(split: str, total: int) -> None:
    facts = load_manifest("expression")
    assert sum(facts["class_counts"][split].values()) == total
    assert total < facts["annotated_frames"][split]


def test_an_unknown_manifest_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no manifest 'expresion'.*Did you mean 'expression'"):
        load_manifest("expresion")


def test_every_manifest_is_readable() -> None:
    files = list(manifests_folder().rglob("*.yaml"))
    assert len(files) >= 4
    for file in files:
        assert load_manifest(file.relative_to(manifests_folder()).with_suffix("").as_posix())
