"""The table of a benchmark, on results whose figures are known."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from abaw.core.errors import ConfigError
from abaw.core.text import csv_records
from abaw.data.label_portions import portions
from abaw.training.static_recipe import StaticRecipe
from pipelines.bench.cells import BenchCell, BenchResult, CellScores, cells_of
from pipelines.bench.plot import write_curves, write_scores
from pipelines.bench.published import published_rows
from pipelines.bench.report import cell_rows, markdown, table_facts
from pipelines.bench.scores import BenchTable, bench_table, difference, score, summary
from pipelines.bench.variants import Variant, variants_of

SCORES = {"supervised": (0.40, 0.50, 0.60), "fixmatch": (0.45, 0.49, 0.65), "spatial": (0.60, 0.70, 0.80)}
RIVALS = ("supervised", "fixmatch")
FIVE, TEN = portions((0.05, 0.1), ())


def _result(macro_f1: float, chosen: bool = True) -> BenchResult:
    scores = CellScores(macro_f1, macro_f1 + 0.1, (macro_f1,) * 8)
    best = CellScores(macro_f1 + 0.05, macro_f1 + 0.15, (macro_f1,) * 8) if chosen else None
    return BenchResult(scores, best, 5, 100, 10, 1000, 9.0, 1.0, 12.0)


def _cells(out: Path, names: dict[str, list[str]], seeds: tuple[int, ...] = (0, 1, 2)) -> list[BenchCell]:
    base = Variant("", StaticRecipe(), None, 0)
    return cells_of(out, variants_of(base, names), base, [FIVE, TEN], seeds)


@pytest.fixture
def found(tmp_path: Path) -> tuple[list[BenchCell], dict[str, BenchResult]]:
    """All at 5 %; at 10 %, seed 0 of supervised alone."""
    cells = _cells(tmp_path, {name: [] for name in SCORES})
    results = {c.name: _result(SCORES[c.variant.name][c.seed]) for c in cells if c.portion == FIVE}
    return cells, {**results, "supervised,share=0.1,seed=0": _result(0.7)}


@pytest.fixture
def table(found: tuple[list[BenchCell], dict[str, BenchResult]]) -> BenchTable:
    return bench_table(*found, RIVALS)


def test_mean_deviation_and_differences_paired_by_seed(table: BenchTable) -> None:
    pick = score("last", "macro_f1")
    ours = summary(table.group("supervised", FIVE), pick)
    assert ours is not None and ours.spread is not None
    assert (ours.mean, ours.spread, ours.count) == (pytest.approx(0.5), pytest.approx(0.1), 3)
    gain = difference(table.group("fixmatch", FIVE), table.group("supervised", FIVE), pick)
    # Differences .05, -.01, .05: mean .03, standard deviation .034641, of the mean .02.
    assert gain is not None and gain.error is not None
    assert (gain.mean, gain.error, gain.count) == (pytest.approx(0.03), pytest.approx(0.02), 3)


def test_one_seed_shows_no_spread_and_missing_cells_no_number(table: BenchTable) -> None:
    pick = score("last", "macro_f1")
    one = summary(table.group("supervised", TEN), pick)
    assert one is not None and (one.mean, one.spread, one.count) == (0.7, None, 1)
    assert summary(table.group("spatial", TEN), pick) is None
    assert difference(table.group("spatial", TEN), table.group("supervised", TEN), pick) is None


def test_the_report_has_scores_differences_and_published_rows(table: BenchTable) -> None:
    text = markdown(table, published_rows("ferplus"), "Head.")
    lines = text.splitlines()
    assert "| supervised | 0.5000 ± 0.1000 (3) | 0.7000 (1) |" in lines
    assert "| spatial | 0.7000 ± 0.1000 (3) | – |" in lines
    assert "| fixmatch | +3.0 ± 2.0 (3) | +3.0 ± 2.0 (3) | – | – |" in lines
    assert "| spatial | 0.7500 ± 0.1000 (3) | – |" in lines  # best
    assert any("published" in line and line.endswith("| 0.818 | 0.840 |") for line in lines)
    assert text.count("## Against") == 2


def test_without_a_best_checkpoint_or_rivals_these_parts_are_left_out(tmp_path: Path) -> None:
    cells = _cells(tmp_path, {"spatial": []}, (0,))
    results = {cell.name: _result(0.5, chosen=False) for cell in cells}
    text = markdown(bench_table(cells, results, RIVALS), (), "Head.")
    assert "best checkpoint" not in text and "Against" not in text and "Published" not in text


def test_differences_are_from_the_entries_named(found: tuple[list[BenchCell], dict[str, BenchResult]]) -> None:
    table = bench_table(*found, ("spatial", "leaf"))  # leaf did not run
    text = markdown(table, (), "Head.")
    assert "## Against `spatial`" in text and text.count("## Against") == 1
    assert "| fixmatch | -17.0 ± 2.0 (3) | -17.0 ± 2.0 (3) | – | – |" in text.splitlines()
    facts = table_facts(table)["table"][0]
    assert facts["entry"] == "supervised" and facts["accuracy_against_spatial"]["mean"] == pytest.approx(-0.2)
    assert not any(name.endswith("against_fixmatch") for name in facts)


def test_csv_has_a_row_a_cell_and_json_the_table(found: tuple[list[BenchCell], dict[str, BenchResult]]) -> None:
    rows = list(csv.DictReader(io.StringIO(csv_records(cell_rows(*found)))))
    assert len(rows) == 10
    row = next(row for row in rows if (row["entry"], row["portion"], row["seed"]) == ("fixmatch", "share=0.05", "2"))
    assert (row["method"], row["last_macro_f1"], row["last_f1_Happiness"]) == ("fixmatch", "0.65", "0.65")
    facts = json.loads(json.dumps(table_facts(bench_table(*found, RIVALS))))["table"]
    assert facts[2]["entry"] == "spatial"
    assert facts[2]["macro_f1_against_supervised"]["mean"] == pytest.approx(0.2)


def test_published_figures_are_those_of_the_papers() -> None:
    best = {row.name: row.accuracy for row in published_rows("fer2013")}
    ten, _, _, many = portions((), (10, 25, 100, 250))
    assert (best["FixMatch"][ten], best["FixMatch"][many]) == (pytest.approx(0.479), pytest.approx(0.622))
    assert len(best) == 5 and all(len(row) == 4 for row in best.values())
    with pytest.raises(ConfigError, match="--published fer13: .* Did you mean 'fer2013'"):
        published_rows("fer13")


def test_pictures_are_drawn(found: tuple[list[BenchCell], dict[str, BenchResult]], tmp_path: Path) -> None:
    cells, results = found
    done = [cell for cell in cells if cell.name in results]
    for cell in done:
        cell.folder.mkdir(parents=True)
        lines = [{"step": 5, "loss": 1.0}, {"step": 5, "eval/macro_f1": 0.2}, {"step": 10, "loss": 0.5}]
        (cell.folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_scores(tmp_path / "bench.png", bench_table(*found, RIVALS), published_rows("ferplus"))
    write_curves(tmp_path / "curves.png", done)
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in ("bench.png", "curves.png"))
