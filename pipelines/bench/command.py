"""`abaw bench ssl`: compare semi-supervised methods, by portion of the labels and seed, in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from abaw.core.config import GIVEN, part_of, to_plain
from abaw.core.errors import ConfigError, nearest
from abaw.data.settings import Pool, UnlabelledFrom
from abaw.semisup.registry import method_files, method_name, method_names
from abaw.training.static_recipe import StaticSettings, static_recipe_class, with_methods
from pipelines.bench.variants import Variant, resolved, variants_of
from pipelines.compare.runs import require_parallel
from pipelines.console import result, say, warn
from pipelines.engine_settings import EngineSettings
from pipelines.inputs import CheckpointPath, InputPath
from pipelines.items import finish_items

if TYPE_CHECKING:
    from abaw.core.run_folder import RunFolder
    from abaw.data.label_portions import BenchFaces, Portion, Sources
    from pipelines.bench.cells import BenchCell, BenchResult
    from pipelines.bench.scores import BenchTable

_SHARES = (0.01, 0.05, 0.1, 0.25, 1.0)


@dataclass(frozen=True, kw_only=True)
class BenchSettings(StaticSettings, EngineSettings):
    """Compare training methods. Each cell is a training run of one entry, one portion of the labels and one seed.

    Args:
        what: ssl, the semi-supervised methods
        out: run folder; finished cells are kept, an unfinished one is resumed
        labelled: image sets with labels, or folders of them; faces outside a cell's portion are used without labels
        scored: image sets with labels on which every cell is scored; nothing is learnt or chosen on them
        unlabelled: more unlabelled faces: image sets or faces stores of videos, or folders of them; existing labels are
            ignored
        every: use one frame in N of an unlabelled video
        unlabelled_from: which faces are used without labels: those of `labelled` outside a cell's portion (rest), those
            of `unlabelled` (other), or both (all)
        unlabelled_limit: use at most so many faces without labels, drawn at random for each seed
        entries: what is compared: `{fixmatch: {}, no_debias: {method: spatial, spatial.debias: 0}}` in a recipe,
            `no_debias=method=spatial,spatial.debias=0` on the command line; an entry without `method` is the method of
            its name; all methods by default
        only: names of the entries to run and report, or of methods that no entry has; all entries by default
        against: names of the entries with which the report compares the others, in differences paired by seed; those
            that do not run are left out
        shares: shares of each class whose labels are used; without it (and per_class), 0.01 0.05 0.1 0.25 1
        per_class: instead of shares, the number of labels per class
        seeds: one cell per seed, which draws the labels, the selection split and the weights
        holdout: share of the known labels held out to choose the best checkpoint; 0 keeps only the last one
        init: folder of the checkpoint from which all entries start (of train-static or pretrain), or builtin
        warm_start_steps: steps of `supervised` before, in a run from which all cells of a portion and seed start
        published: published figures to show next to ours, by their name in the manifest `published_semisup`
        train: optimiser, schedule, checkpoints; `seeds` replaces its seed

    Examples:
        abaw bench ssl --labelled train.arrow --scored valid.arrow --out runs/bench
        abaw bench ssl --labelled train.arrow --scored valid.arrow --only supervised leaf --shares 0.1 --out runs/leaf
        abaw bench ssl --config bench/ferplus --labelled train.arrow --scored val.arrow --out b
    """

    what: Literal["ssl"]
    out: Path
    labelled: tuple[InputPath, ...]
    scored: tuple[InputPath, ...]
    unlabelled: tuple[InputPath, ...] = ()
    every: int = 10
    unlabelled_from: UnlabelledFrom = "all"
    unlabelled_limit: int | None = None
    entries: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    against: tuple[str, ...] = ("supervised", "fixmatch")
    shares: tuple[float, ...] = ()
    per_class: tuple[int, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2)
    holdout: float = 0.1
    init: CheckpointPath | None = None
    warm_start_steps: int = 0
    published: str | None = None
    given: tuple[str, ...] = field(default=(), metadata={GIVEN: True})


BenchConfig = with_methods(BenchSettings, "BenchConfig", __name__)


def run(config: BenchSettings) -> int:
    """Exit status: 1 when a cell failed, else 0."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.data.label_portions import portions, read_faces
    from pipelines.bench.cells import cells_of, run_bench_cells

    variants, base = chosen_variants(config)
    parts = portions(config.shares or (() if config.per_class else _SHARES), config.per_class)
    _require_usable(config)
    faces = read_faces(_sources(config))
    cells = cells_of(config.out, variants, base, parts, config.seeds)
    for variant in variants:
        for note in variant.notes:
            say(f"entry {variant.name}: {note}")
    say(f"{len(variants)} variants, {len(parts)} portions of the labels, {len(config.seeds)} seeds: {len(cells)} cells")
    with _run_folder(config, faces):
        if faces.left_out:
            warn(f"{faces.left_out} faces are left out of training: --scored has the same photo or crop")
        results, failures = run_bench_cells(cells, _sources(config), config.holdout, config, config.out)
        if results:
            _write_report(config, faces, parts, cells, results)
    return finish_items(len(results), failures)


def chosen_variants(config: BenchSettings) -> tuple[list[Variant], Variant]:
    """The variants to run, and the unchanged recipe, which warm starts use.

    A name of `only` that no entry has is the method of this name with the settings of the recipe. A file given as
    `method` is one more entry.
    """
    if config.method != StaticSettings.method and config.method not in method_files():
        raise ConfigError(f"--method {config.method}: methods are named by --entries; use --only {config.method}")
    recipe = replace(part_of(config, static_recipe_class()), method=StaticSettings.method)
    overrides = config.entries or dict.fromkeys(method_names(), ())
    if config.method in method_files():
        overrides = {**overrides, config.method: overrides.get(config.method, ())}
    known = [*dict.fromkeys([*overrides, *method_names()])]
    only = _known_names("only", config.only, known)
    _known_names("against", config.against, known)
    chosen = {name: overrides.get(name, ()) for name in dict.fromkeys(only) or overrides}
    pool = Pool(config.unlabelled_from, config.unlabelled_limit)
    base = Variant("", recipe, resolved(config.init), config.warm_start_steps, pool)
    return variants_of(base, chosen, config.given), base


def _known_names(flag: str, given: Sequence[str], known: Sequence[str]) -> list[str]:
    names = [method_name(name) for name in given]
    for name in names:
        if name not in known:
            there = ", ".join(known)
            raise ConfigError(f"--{flag} {name}: no such entry or method; there are {there}.{nearest(name, known)}")
    return names


def _require_usable(config: BenchSettings) -> None:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from pipelines.bench.published import published_rows

    if not config.seeds or len(set(config.seeds)) < len(config.seeds):
        raise ConfigError(f"seeds {list(config.seeds)}: expected one or more different numbers")
    if not 0 <= config.holdout <= 0.5:
        raise ConfigError(f"holdout {config.holdout:g}: expected at least 0 and at most 0.5")
    if config.warm_start_steps < 0:
        raise ConfigError(f"warm_start_steps {config.warm_start_steps}; expected at least 0")
    if config.published is not None:
        published_rows(config.published)
    require_parallel(config.train, config, "bench")


def _sources(config: BenchSettings) -> Sources:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.data.label_portions import Sources

    return Sources(config.labelled, config.scored, config.unlabelled, config.every)


def _run_folder(config: BenchSettings, faces: BenchFaces) -> RunFolder:
    """Faces are the same for all cells; variants, portions and seeds may be added: each cell records its settings."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.run_folder import RunFolder

    unlabelled = None if faces.unlabelled is None else faces.unlabelled.fingerprint()
    prints = {"labelled": faces.labelled.fingerprint(), "scored": faces.scored.fingerprint(), "unlabelled": unlabelled}
    return RunFolder(config.out, {"what": config.what, "faces": prints, "holdout": config.holdout})


def _write_report(
    config: BenchSettings,
    faces: BenchFaces,
    parts: Sequence[Portion],
    cells: Sequence[BenchCell],
    results: Mapping[str, BenchResult],
) -> None:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.artifacts import write_json, write_text
    from abaw.core.text import csv_records
    from pipelines.bench.plot import write_curves, write_scores
    from pipelines.bench.published import published_rows
    from pipelines.bench.report import cell_rows, markdown, table_facts
    from pipelines.bench.scores import bench_table

    table: BenchTable = bench_table(cells, results, [method_name(name) for name in config.against])
    published = published_rows(config.published) if config.published is not None else ()
    text = markdown(table, published, _head(config, faces))
    write_text(config.out / "bench.md", text)
    write_text(config.out / "bench.csv", csv_records(cell_rows(cells, results)))
    facts: dict[str, Any] = {"config": to_plain(config), **table_facts(table), "cells": cell_rows(cells, results)}
    write_json(config.out / "bench.json", facts)
    write_scores(config.out / "bench.png", table, published)
    write_curves(config.out / "curves.png", [cell for cell in cells if cell.name in results])
    result(text)
    say(f"{config.out / 'bench.md'}, bench.csv, bench.json, bench.png, curves.png")


def _head(config: BenchSettings, faces: BenchFaces) -> str:
    """How the table was made: what a reader needs to judge the figures."""
    classes = sum(count > 0 for count in faces.scored.class_counts())
    others = 0 if faces.unlabelled is None else len(faces.unlabelled)
    labelled = int(faces.labelled.class_counts().sum())
    warm = f"{config.warm_start_steps} steps of `supervised` on the same labels, then " * bool(config.warm_start_steps)
    chosen = (
        f"{config.holdout:.0%} of the known labels are held out; `best` was chosen on them, `last` was not chosen."
        if config.holdout
        else "All known labels are used for learning; only the last checkpoint is kept, and nothing was chosen."
    )
    return (
        f"Scored on {len(faces.scored)} faces of {classes} classes, which are used for nothing else. {labelled} "
        f"labelled faces, of which each portion uses a part; the rest of {len(faces.labelled)} and {others} further "
        f"faces are used without labels. Every cell: {warm}{config.train.steps} steps of {config.batch_size} labelled "
        f"images ({config.backbone}, {config.size} px). {chosen} Macro F1 is over the classes of the scored faces. "
        "Mean ± standard deviation over the seeds (n)."
    )
