"""Scores from the frame counts of the cells: means, intervals, the choice and its unbiased estimate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from abaw.evaluation.bootstrap import video_groups
from abaw.evaluation.folds import video_folds
from abaw.evaluation.intervals import f1_intervals, mean_interval
from abaw.evaluation.metrics import macro_f1_of
from abaw.evaluation.seeds import nested_over_seeds
from abaw.evaluation.selection import nested_selection
from pipelines.ablate.plot import write_plot
from pipelines.ablate.report import best_lines, markdown_table, table_facts
from pipelines.ablate.scores import VariantCells, score_table
from pipelines.compare.cells import CellResult

V = 12


def _cell(right: float, seed: int = 0, num_videos: int = V) -> CellResult:
    """Each video has 100 frames of each class, of which about a share `right` is predicted as it is annotated."""
    rng = np.random.default_rng([seed, int(right * 1000)])
    confusions = np.zeros((num_videos, 8, 8), dtype=np.int64)
    for video in range(num_videos):
        for index in range(8):
            hits = rng.binomial(100, right)
            confusions[video, index, index] = hits
            confusions[video, index, (index + 1) % 8] = 100 - hits
    score = float(macro_f1_of(confusions.sum(axis=0)))
    names = tuple(f"video{index // 2}_{'left' if index % 2 else 'right'}" for index in range(num_videos))
    return CellResult(("expression",), score, None, right, 800 * num_videos, 1000, 2.0, 0.5, None, names, confusions)


def _variant(values: Mapping[str, Any], *shares: float) -> VariantCells:
    cells = {seed: _cell(share, seed) for seed, share in enumerate(shares)}
    return VariantCells(values, int(values.get("window", 300)), 10, cells)


def test_a_row_holds_mean_spread_and_an_interval_around_it() -> None:
    table = score_table([_variant({"window": 20}, 0.5, 0.6), _variant({"window": 40}, 0.8)])
    first, second = table.rows
    scores = [cell.score for cell in first.cells.values()]
    assert (first.mean, first.spread) == (pytest.approx(np.mean(scores)), pytest.approx(np.std(scores, ddof=1)))
    assert first.score.interval.low < first.mean < first.score.interval.high < second.score.interval.low
    assert second.spread is None and table.best == 1
    assert second.score.below_best == 0 and second.score.below_best_interval.ends == [0, 0]
    assert first.score.below_best_interval.low < first.score.below_best < first.score.below_best_interval.high


def test_the_table_shows_every_variant() -> None:
    rows = markdown_table(score_table([_variant({"window": 20}, 0.5, 0.6), _variant({"window": 40}, 0.8)]))
    head, _, first, second = rows.splitlines()
    assert head.startswith("| window | hop | seeds | macro F1 | 95 % interval | below the best |")
    assert first.startswith("| 20 | 10 | 2 | 0.") and "±" in first
    assert second.startswith("| 40 | 10 | 1 | 0.") and "| best |" in second and "| – |" in second


def test_the_best_variant_has_the_best_mean_not_the_best_run() -> None:
    table = score_table([_variant({"window": 20}, 0.9, 0.2), _variant({"window": 40}, 0.7, 0.7)])
    lines = best_lines(table).splitlines()
    assert lines[0].startswith("best: window 40: macro F1 0.7") and "Caveat: chosen among 2" in lines[0]
    assert lines[1].startswith("All others are significantly below the best")
    assert lines[2].startswith("unbiased estimate: macro F1 0.") and "window 40 in 5" in lines[2]


def test_the_interval_of_one_seed_is_the_usual_one_and_other_seeds_narrow_it() -> None:
    cells = [_cell(0.6, seed) for seed in range(3)]
    groups = video_groups(cells[0].videos)
    one = mean_interval(cells[0].statistics[None], groups)
    assert one == f1_intervals(cells[0].statistics, groups).macro
    same = mean_interval(np.stack([cells[0].statistics] * 3), groups)
    assert (same.low, same.high) == pytest.approx((one.low, one.high))
    three = mean_interval(np.stack([cell.statistics for cell in cells]), groups)
    assert 0 < three.high - three.low < one.high - one.low


def test_variants_without_a_significant_difference_are_named() -> None:
    table = score_table([_variant({"window": 20}, 0.7, 0.702), _variant({"window": 40}, 0.7, 0.7)])
    assert "Not significantly different from the best on these videos" in best_lines(table)


def test_one_variant_needs_no_caveat() -> None:
    table = score_table([_variant({"window": 20}, 0.9)])
    assert (
        table.nested is None and "Caveat" not in best_lines(table) and "so the spread is unknown" in best_lines(table)
    )


def test_nested_selection_with_one_seed_is_the_usual_one() -> None:
    rng = np.random.default_rng(0)
    confusions = rng.integers(0, 50, (4, V, 8, 8))
    groups = [f"video{index}" for index in range(V)]
    folds = video_folds(confusions[0].sum(axis=-1), groups)
    expected = nested_selection(confusions, [confusions] * (int(folds.max()) + 1), folds)
    found = nested_over_seeds(confusions[:, None], groups)
    assert found.chosen == expected.chosen and found.score == pytest.approx(expected.nested_f1)


def test_the_unbiased_estimate_of_variants_that_differ_by_chance_is_below_the_best() -> None:
    settings = [VariantCells({"window": window}, window, 10, {0: _cell(0.5, window)}) for window in range(10, 40)]
    table = score_table(settings)
    assert table.nested is not None and table.nested.score < table.rows[table.best].mean


def test_seeds_that_a_variant_lacks_are_left_out_of_the_unbiased_estimate() -> None:
    cells = {1: _cell(0.6, 1)}
    table = score_table([_variant({"window": 20}, 0.5, 0.5), VariantCells({"window": 40}, 40, 10, cells)])
    assert table.nested is not None and table.nested.score == pytest.approx(cells[1].score)
    without = score_table([_variant({"window": 20}, 0.5), VariantCells({"window": 40}, 40, 10, cells)])
    assert without.nested is None and "unbiased estimate: none" in best_lines(without)


def test_the_table_as_plain_values() -> None:
    facts = table_facts(score_table([_variant({"window": 20}, 0.5, 0.6), _variant({"window": 40}, 0.8)]))
    assert facts["best"]["window"] == 40 and facts["best"]["chosen_on_the_scored_videos"]
    assert [cell["seed"] for cell in facts["cells"]] == [0, 1, 0]
    assert facts["honest"]["chosen"] == [{"window": 40}] * 5


@pytest.mark.parametrize(
    ("settings", "drawn"),
    [
        ([{"window": 20}], True),
        ([{"window": 20}, {"window": 400}], True),
        ([{"learn.balance": "none"}, {"learn.balance": "class_weights"}], True),
        ([{"window": w, "model.causal": c} for w in (20, 40) for c in (True, False)], True),
        ([{"learn.balance": b, "model.causal": c} for b in ("none", "x") for c in (True, False)], True),
        ([{"window": w, "model.layers": n, "model.causal": False} for w in (20, 40) for n in (1, 2)], True),
        ([{"window": w, "hop": h, "model.layers": n} for w in (20, 40) for h in (5, 6) for n in (1, 2)], False),
    ],
)
def test_up_to_two_settings_are_drawn(tmp_path: Path, settings: list[dict[str, Any]], drawn: bool) -> None:
    table = score_table([_variant(values, 0.5 + 0.02 * index, 0.5) for index, values in enumerate(settings)])
    assert write_plot(tmp_path / "a.png", table) is drawn
    assert (tmp_path / "a.png").exists() is drawn
