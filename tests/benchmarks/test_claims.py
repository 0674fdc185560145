"""The verdicts of benchmarks/claims.py, on cells whose figures are known."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml

from pipelines.recipe_files import recipe

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import claims


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        pytest.param([1.2, 0.9, 1.5], "borne out", id="above 0"),
        pytest.param([0.1, -0.1, 0.2, -0.2], "not borne out", id="below a point"),
        pytest.param([3.0, -3.0, 1.0], "cannot be decided at this scale", id="wide"),
        # Mean .5, standard error .1155, 4.303 of them reach .003: more than two of them, as a normal law has.
        pytest.param([0.3, 0.5, 0.7], "borne out", id="just above 0"),
        pytest.param([0.29, 0.5, 0.71], "cannot be decided at this scale", id="just not above 0"),
    ],
)
def test_a_verdict_depends_on_the_interval_of_the_mean(gains: list[float], verdict: str) -> None:
    assert claims.verdict(gains) == verdict


def test_every_claim_compares_entries_of_the_recipe() -> None:
    entries = yaml.safe_load(recipe("bench/claims").read_text())["entries"]
    assert {name for claim in claims.CLAIMS for pair in claim.pairs for name in pair} == set(entries)


def test_differences_are_paired_by_portion_and_seed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = {
        "leaf,share=0.1,seed=0": 0.42,
        "leaf,share=0.1,seed=1": 0.44,
        "leaf,share=0.25,seed=0": 0.50,
        "leaf_no_experts,share=0.1,seed=0": 0.40,
        "leaf_no_experts,share=0.1,seed=1": 0.41,
        "leaf_no_experts,share=0.25,seed=1": 0.10,
    }
    for name, macro_f1 in figures.items():
        folder = tmp_path / "cells" / name
        folder.mkdir(parents=True)
        (folder / "cell.json").write_text(json.dumps({"last": {"macro_f1": macro_f1, "accuracy": 0.7}}))
    table = claims.main([str(tmp_path)])
    assert table == capsys.readouterr().out.rstrip("\n") + "\n"
    assert "| `leaf` | 43.0 ± 1.4 | 70.0 ± 0.0 | 50.0 | 70.0 |" in table
    assert "| LEAF: experts | 2 | +2.5 ± 0.5 | +0.0 ± 0.0 | cannot be decided at this scale |" in table
