"""The facts that ship, against protocol and code."""

from __future__ import annotations

import pytest

from abaw.core.errors import ConfigError
from abaw.protocol.classes import EXPRESSION_CLASSES, NUM_EXPRESSIONS, UNLABELLED
from abaw.protocol.editions import edition
from abaw.protocol.manifests import load_manifest, manifests_folder


def test_the_sixth_edition() -> None:
    sixth = edition("abaw6")
    assert sixth.header == "image_location," + ",".join(EXPRESSION_CLASSES)
    assert sixth.num_classes == NUM_EXPRESSIONS == 8


def test_an_unknown_edition_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'abaw6'"):
        edition("abaw")


def test_classes_of_the_manifest_are_those_of_the_code() -> None:
    facts = load_manifest("expression")
    assert tuple(facts["classes"]) == EXPRESSION_CLASSES
    assert facts["unlabelled"] == UNLABELLED
    assert set(facts["class_counts"]["train"]) == set(EXPRESSION_CLASSES)


@pytest.mark.parametrize(("split", "total"), [("train", 585_317), ("validation", 280_532)])
def test_published_class_counts_add_up(split: str, total: int) -> None:
    facts = load_manifest("expression")
    assert sum(facts["class_counts"][split].values()) == total
    assert total < facts["annotated_frames"][split]


def test_an_unknown_manifest_lists_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"no manifest 'expresion'.*Did you mean 'expression'"):
        load_manifest("expresion")


def test_every_manifest_is_readable() -> None:
    files = list(manifests_folder().rglob("*.yaml"))
    assert len(files) >= 4
    for file in files:
        assert load_manifest(file.relative_to(manifests_folder()).with_suffix("").as_posix())
