"""`abaw ablate`: train temporal models with many settings and seeds on one set of features, and compare them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from abaw.core.config import GIVEN, part_of, to_plain
from abaw.core.errors import ConfigError
from abaw.training.temporal_recipe import recipe_of
from pipelines.ablate.decodings import decoded_variants, read_ablation_smoothings, require_expression_for
from pipelines.ablate.grid import GridRecipe, Point, points
from pipelines.ablate.report import best_lines, markdown_table, table_facts, write_csv
from pipelines.ablate.scores import VariantCells
from pipelines.compare.cells import Cell, CellResult, Splits, read_splits, run_cells, shared_in_run
from pipelines.compare.runs import require_parallel
from pipelines.console import result, say, warn
from pipelines.engine_settings import EngineSettings
from pipelines.inputs import InputPath, require_sources
from pipelines.items import finish_items

_WINDOWS = {"window": ("50", "100", "200", "300", "500")}


@dataclass(frozen=True, kw_only=True)
class AblateConfig(GridRecipe, EngineSettings):
    """Compare settings of a temporal model. Each cell is the run that `train-temporal` makes with them and one seed.

    Args:
        features: folder of feature stores (`abaw features`), checked once and then mapped; several folders are several
            sources
        annotations: folder with Train_Set and Validation_Set
        out: run folder; finished cells are kept, an unfinished one is resumed
        vary: settings to compare, by name: `window=50,100 model.layers=1,2` makes four combinations; by default windows
            of 50, 100, 200, 300 and 500 frames; `sources=0,1,0+1` compares the --features, by number or folder name
        seeds: every combination is trained once per seed
        smoothing: each cell's predictions are scored with each of these: none, box:WIDTH, median:WIDTH, gaussian:SIGMA
            (in frames, or in seconds as in gaussian:0.4s), viterbi:WEIGHT, forward_backward:WEIGHT; transitions are
            counted on the training videos
        fit_bias: also score each smoothing with a class bias, for viterbi and forward_backward together with WEIGHT;
            each validation video is decoded with the fit on the others
        train: optimiser, schedule, checkpoints; `seeds` replaces its seed

    Examples:
        abaw ablate --features features/ --annotations annotations/ --out runs/windows
        abaw ablate --features features/ --annotations labels/ --vary model.layers=1,2 --seeds 0 1 --out runs/layers
    """

    features: tuple[InputPath, ...]
    annotations: InputPath
    out: Path
    vary: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0, 1, 2)
    smoothing: tuple[str, ...] = ("none",)
    fit_bias: bool = False
    given: tuple[str, ...] = field(default=(), metadata={GIVEN: True})


def run(config: AblateConfig) -> int:
    """Exit status: 1 when a cell failed, else 0."""
    vary = config.vary or _WINDOWS
    grid = points(config, vary, config.given)
    for point in grid:
        require_sources(config.features, point.recipe.sources)
    if not config.seeds or len(set(config.seeds)) < len(config.seeds):
        raise ConfigError(f"seeds {list(config.seeds)}: expected one or more different numbers")
    require_parallel(config.train, config, "ablate")
    require_expression_for(config.smoothing, config.fit_bias, config.tasks)
    for note in dict.fromkeys(note for point in grid for note in point.notes):
        say(note)
    for text in dict.fromkeys(text for point in grid for text in point.recipe.cautions):
        warn(text)
    say(f"{len(grid)} variants with {len(config.seeds)} seeds each: {len(grid) * len(config.seeds)} cells")
    videos = read_splits(config.features, config.annotations, config.tasks)
    smoothings = read_ablation_smoothings(config.smoothing, videos[0].clips)
    defaults = _fixed(GridRecipe(), vary)
    with shared_in_run(*videos, config.out, _fixed(config, vary), defaults) as splits:
        cells = {(point.name, seed): _cell(config.out, point, seed, splits) for point in grid for seed in config.seeds}
        results, failures = run_cells(list(cells.values()), splits.clips, config, config.out)
        finished = {point.name: _of_seeds(point, config.seeds, results) for point in grid}
        scored = [point for point in grid if finished[point.name]]
        variants = [VariantCells(p.values, p.window, p.hop, finished[p.name]) for p in scored]
        if variants and (config.smoothing != ("none",) or config.fit_bias):
            say(f"scoring {len(results)} cells with {' '.join(config.smoothing)}")
            folders = [{seed: cells[p.name, seed].predictions for seed in finished[p.name]} for p in scored]
            variants = decoded_variants(variants, folders, videos[1].clips, smoothings, config.fit_bias)
        if variants:
            _write_report(config, variants)
    return finish_items(len(results), failures)


def _fixed(config: GridRecipe, vary: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """What all cells have in common. Seeds and varied settings are left out: values may be added later."""
    plain = to_plain(replace(part_of(config, GridRecipe), train=replace(config.train, seed=0)))
    for name in vary:
        part, _, inner = name.partition(".")
        if inner:
            del plain[part][inner]
        else:
            del plain[part]
    return {**plain, "varied": sorted(vary)}


def _cell_name(point: Point, seed: int) -> str:
    return f"{point.name},seed={seed}"


def _cell(out: Path, point: Point, seed: int, splits: Splits) -> Cell:
    folder = out / "cells" / _cell_name(point, seed)
    return Cell(
        name=_cell_name(point, seed),
        folder=folder,
        predictions=folder / "predictions",
        window=point.window,
        hop=point.hop,
        recipe=recipe_of(point.recipe, seed),
        training=splits.training,
        scored=splits.validation,
    )


def _of_seeds(point: Point, seeds: Sequence[int], results: Mapping[str, CellResult]) -> dict[int, CellResult]:
    names = {seed: _cell_name(point, seed) for seed in seeds}
    return {seed: results[name] for seed, name in names.items() if name in results}


def _write_report(config: AblateConfig, variants: Sequence[VariantCells]) -> None:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.artifacts import write_json, write_text
    from pipelines.ablate.plot import write_plot
    from pipelines.ablate.scores import score_table

    table = score_table(variants)
    text, lines = markdown_table(table), best_lines(table)
    drawn = write_plot(config.out / "ablation.png", table)
    plot = "\n![macro F1](ablation.png)\n" if drawn else ""
    write_text(config.out / "ablation.md", f"# Ablation\n\n{text}\n{lines}\n{plot}")
    write_csv(config.out / "ablation.csv", table)
    write_json(config.out / "ablation.json", {"config": to_plain(config), **table_facts(table)})
    result(text)
    result(lines)
    say(f"{config.out / 'ablation.md'}, ablation.csv, ablation.json{', ablation.png' if drawn else ''}")
    if not drawn:
        say("no plot: more than two settings are varied")
