"""`abaw bench ssl`: entries of a recipe, cells that resume, and a failure that stops no other cell."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from abaw.core.artifacts import file_hash, read_json, write_json
from abaw.core.config import to_plain
from abaw.core.errors import ConfigError
from abaw.data.label_portions import Sources, portions
from abaw.inference.devices import processor
from abaw.training.static_recipe import StaticRecipe
from pipelines.bench.cells import BenchCell, BenchResult, CellScores, cells_of, run_bench_cells
from pipelines.bench.command import BenchConfig, chosen_variants, run
from pipelines.bench.variants import Variant, variants_of
from pipelines.cli import parse_config
from pipelines.recipe_files import recipe
from tests.data.faces import still_store
from tests.pipelines.interrupt import check_interrupt

RECIPES = (
    "ferplus",
    "ferplus_full",
    "fer2013",
    "fer2013_full",
    "ablation",
    "combinations",
    "all_labels",
    "feedback",
    "claims",
)
TINY = (
    *("--size", "24", "--batch_size", "8", "--unlabelled_ratio", "1", "--workers", "1"),
    *("--train.steps", "4", "--train.warmup_steps", "1", "--train.accelerator", "cpu", "--train.log_every", "2"),
    *("--train.evaluate_every", "2", "--train.checkpoint_every", "2"),
)


@pytest.fixture
def stores(tmp_path: Path) -> tuple[str, ...]:
    labels = [label for label in range(8) for _ in range(10)]
    train = still_store(tmp_path / "train.arrow", labels, 1, {"source": "train"})
    valid = still_store(tmp_path / "valid.arrow", labels[:70:3], 2, {"source": "valid"})
    return ("--labelled", str(train), "--scored", str(valid), "--out", str(tmp_path / "run"))


def _config(*words: str) -> BenchConfig:
    return parse_config("bench", ["ssl", *words])


def _rows(tmp_path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((tmp_path / "run" / "bench.csv").open()))


@pytest.mark.slow
def test_cells_are_run_kept_and_added_to(tmp_path: Path, stores: tuple[str, ...]) -> None:
    words = (*stores, *TINY, "--warm_start_steps", "3", "--seeds", "0", "--shares", "0.5")
    assert run(_config(*words, "--only", "supervised")) == 0
    cell = tmp_path / "run" / "cells" / "supervised,share=0.5,seed=0" / "cell.json"
    warm = tmp_path / "run" / "warm_starts" / "share=0.5,seed=0" / "warm_start.json"
    for file in (cell, warm):
        facts = read_json(file)
        assert facts["threads"] == 1 and facts["instruction_set"] == processor().instruction_set
    before = [file.stat().st_mtime_ns for file in (cell, warm)]
    longer = ("--entries", "supervised=method=supervised", "plain=method=fixmatch,train.steps=2")
    assert run(_config(*words, *longer, "--against", "plain")) == 0
    report = (tmp_path / "run" / "bench.md").read_text()
    assert "## Against `plain`" in report and report.count("## Against") == 1
    assert [file.stat().st_mtime_ns for file in (cell, warm)] == before
    rows = _rows(tmp_path)
    assert [(row["entry"], row["method"], row["steps"]) for row in rows] == [
        ("supervised", "supervised", "4"),
        ("plain", "fixmatch", "2"),
    ]
    # 40 known, 8 of them held out; the hidden 40 serve the method that takes them.
    assert [(row["labelled"], row["selection"], row["unlabelled"]) for row in rows] == [
        ("32", "8", "0"),
        ("32", "8", "40"),
    ]
    names = ("bench.md", "bench.json", "bench.png", "curves.png")
    assert all((tmp_path / "run" / name).stat().st_size for name in names)
    with pytest.raises(ConfigError, match=r"finished with other settings .*recipe.train.lr: 0.001 -> 0.1"):
        run(_config(*words, "--only", "supervised", "--train.lr", "0.1"))
    with pytest.raises(ConfigError, match=r"holdout: 0.1 -> 0.2"):
        run(_config(*words, "--only", "supervised", "--holdout", "0.2"))


@pytest.mark.slow
def test_an_interrupt_of_the_command_alone_ends_its_workers(tmp_path: Path, stores: tuple[str, ...]) -> None:
    more = ("--only", "supervised", "--shares", "0.5", "--workers", "2", "--train.steps", "1000000")
    words = ["bench", "ssl", *stores, *TINY, *more]
    check_interrupt(words, lambda: any(tmp_path.glob("run/cells/*/last/state.pt")), tmp_path / "log")


def test_a_cell_that_fails_stops_no_other(
    tmp_path: Path, stores: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """With all labels known and no further faces, fixmatch has none without a label."""
    words = (*stores, *TINY, "--seeds", "0", "--shares", "1", "--only", "fixmatch", "supervised", "--holdout", "0")
    assert run(_config(*words)) == 1
    assert "fixmatch,share=1,seed=0: method fixmatch also learns from unlabelled faces" in capsys.readouterr().err
    (row,) = _rows(tmp_path)
    assert (row["entry"], row["labelled"], row["selection"], row["best_macro_f1"]) == ("supervised", "80", "0", "")


def _cell(config: BenchConfig) -> BenchCell:
    variants, base = chosen_variants(config)
    (cell,) = cells_of(config.out, variants, base, portions((0.5,), ()), (0,))
    return cell


def _run_cell(config: BenchConfig, cell: BenchCell) -> tuple[dict[str, BenchResult], list[str]]:
    sources = Sources(config.labelled, config.scored, (), 10)
    return run_bench_cells([cell], sources, config.holdout, config, config.out)


def test_a_finished_cell_with_other_weights_in_a_file_of_the_same_name_is_refused(
    tmp_path: Path, stores: tuple[str, ...]
) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(b"one")
    words = ("--only", "supervised", "--warm_start_steps", "3", "--backbone_weights", str(file))
    config = _config(*stores, *TINY, *words)
    cell, first = _cell(config), file_hash(file)
    result = BenchResult(CellScores(0.5, 0.6, (0.5,)), None, 4, 32, 8, 0, 0.1, 0.1, None)
    facts = {"made_with": cell.plain(), **to_plain(result)}
    write_json(cell.file, facts)
    assert _run_cell(config, cell) == ({cell.name: result}, [])
    file.write_bytes(b"two")
    changed = f"file_hashes.backbone_weights: '{first}' -> '{file_hash(file)}'"
    with pytest.raises(ConfigError) as refused:
        _run_cell(config, _cell(config))
    assert f"{cell.folder}: finished with other settings ({changed}; warm_start.{changed})" in str(refused.value)
    for part in (facts["made_with"], facts["made_with"]["warm_start"]):
        del part["file_hashes"]
    write_json(cell.file, facts)
    assert _run_cell(config, _cell(config)) == ({cell.name: result}, []), (
        "a cell of an earlier version does not name the content"
    )


def test_a_cell_whose_weights_change_while_it_waits_is_not_trained(tmp_path: Path, stores: tuple[str, ...]) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(b"one")
    config = _config(*stores, *TINY, "--only", "supervised", "--backbone_weights", str(file))
    cell, first = _cell(config), file_hash(file)
    file.write_bytes(b"two")
    results, (failure,) = _run_cell(config, cell)
    changed = f"(backbone_weights: '{first}' -> '{file_hash(file)}')"
    assert not results and f"a file has changed since the command started {changed}" in failure


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_that_ship_name_entries_that_fit(name: str) -> None:
    config = _config("--config", str(recipe(f"bench/{name}")), "--labelled", "a", "--scored", "b", "--out", "c")
    base = StaticRecipe()
    found = variants_of(Variant("", base, config.init, config.warm_start_steps), config.entries)
    few = {"all_labels": {"supervised"}, "feedback": {"spatial"}, "claims": {"supervised", "leaf", "dta_snl"}}
    wanted = few.get(name, {"supervised", "fixmatch", "spatial"})
    assert wanted <= {variant.recipe.method for variant in found}
    assert len(config.seeds) >= 3 and bool(config.shares) != bool(config.per_class)


def test_a_variant_overrides_the_recipe_and_where_it_starts(tmp_path: Path) -> None:
    texts = {
        "spatial": (),
        "bare": ("method=spatial", "spatial.debias=0.5", "warm_start_steps=0", "train.steps=900"),
        "large": ("method=supervised", "backbone=medium"),
        "other_labels": ("method=supervised", "supervised.label_smoothing=0"),
    }
    base = Variant("", StaticRecipe(), None, 30)
    found = {variant.name: variant for variant in variants_of(base, texts)}
    assert found["bare"].recipe.spatial.debias == 0.5 != found["spatial"].recipe.spatial.debias
    assert (found["bare"].warm_start_steps, found["bare"].recipe.train.steps) == (0, 900)
    cells = cells_of(tmp_path, list(found.values()), base, portions((0.1,), ()), (0, 1))
    warm = {cell.variant.name: cell.warm for cell in cells if cell.seed == 1}
    # One warm start for all variants with the same network, so that they all start alike.
    assert warm["bare"] is None and warm["spatial"] == warm["other_labels"]
    assert warm["spatial"] is not None and warm["spatial"].name == "share=0.1,seed=1"
    assert warm["large"] is not None and warm["large"].name.startswith("share=0.1,seed=1,")
    assert warm["large"].recipe.backbone == "medium"
    assert [cell.seed for cell in cells] == [0] * 4 + [1] * 4


@pytest.mark.parametrize(
    ("name", "texts", "message"),
    [
        ("fixmach", (), "entry fixmach: no method 'fixmach'; .* Did you mean 'fixmatch'"),
        (
            "x",
            ("method=spatial", "debias=3"),
            "no setting 'debias' that can be overridden. Did you mean 'spatial.debias'",
        ),
        ("x", ("method=spatial", "spatial.debias=much"), "entry x: spatial.debias=much: expected a number"),
        ("x", ("method=spatial", "train.seed=3"), "no setting 'train.seed'"),
        ("x", ("method=spatial", "spatial.finetune=3"), "entry x: finetune is 3"),
        ("x", ("method=spatial", "warm_start_steps=-1"), "warm_start_steps -1"),
        ("x", ("method=spatial", "unlabelled_limit=0"), "entry x: unlabelled_limit 0; expected at least 1"),
        ("x", ("method=spatial", "unlabelled_from=lfw"), "unlabelled_from=lfw: expected one of all, rest, other"),
        ("x", ("method=leaf", "experts.temperature=0"), "experts: temperature 0; expected more than 0"),
        ("a/b", ("method=spatial",), "entry 'a/b': a name consists of letters"),
    ],
)
def test_wrong_entries_are_explained(name: str, texts: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        variants_of(Variant("", StaticRecipe(), None, 0), {name: texts})


def test_settings_of_an_entry_are_written_alike_in_a_recipe_and_on_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("entries: {fixmatch: {}, x: {method: spatial, spatial.feedback: true, init: null}}\n")
    paths = ("--labelled", "a", "--scored", "b", "--out", "c")
    texts = ("method=spatial", "spatial.feedback=true", "init=null")
    assert _config("--config", str(file), *paths).entries == {"fixmatch": (), "x": texts}
    assert _config("--entries", f"x={','.join(texts)}", *paths).entries == {"x": texts}
