"""The cells of the benchmark: one variant of a recipe, one portion of the labels, one seed; and their warm starts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from abaw.core.errors import ConfigError, DataError
from abaw.core.progress import Progress
from abaw.core.text import listed
from abaw.data.label_portions import BenchFaces, Portion, Sources, read_faces, split
from abaw.data.settings import Pool
from abaw.training.settings import TrainSettings
from abaw.training.static_recipe import StaticSettings, default_plain, file_hashes, recipe_plain
from pipelines.bench.variants import Variant
from pipelines.compare.runs import train_runs
from pipelines.engine_settings import EngineSettings

if TYPE_CHECKING:
    from abaw.data.face_set import FaceSet

_SHAPE = ("backbone", "pretrained", "backbone_weights", "size", "grey")


@dataclass(frozen=True)
class WarmStart:
    """A run of `supervised` that all cells of a portion and seed start from. hashes: see `file_hashes`."""

    name: str
    folder: Path
    portion: Portion
    seed: int
    recipe: StaticSettings
    init: Path | None
    steps: int
    hashes: Mapping[str, str | None]

    @property
    def file(self) -> Path:
        return self.folder / "warm_start.json"

    @property
    def train(self) -> TrainSettings:
        return replace(
            self.recipe.train, steps=self.steps, warmup_steps=min(self.recipe.train.warmup_steps, self.steps - 1)
        )

    @property
    def checkpoint(self) -> Path:
        return self.folder / "last"

    def plain(self) -> dict[str, Any]:
        recipe = replace(self.recipe, method="supervised")
        settings = {"steps": self.steps, "init": _weights(self.init), "recipe": recipe_plain(recipe)}
        return {**settings, "file_hashes": self.hashes}

    def defaults(self) -> dict[str, Any]:
        return {"recipe": default_plain("supervised"), "file_hashes": self.hashes}


@dataclass(frozen=True)
class BenchCell:
    """One training run. warm: what it starts from; None when it starts from `variant.init`, or from new weights.

    hashes: see `file_hashes`.
    """

    name: str
    folder: Path
    variant: Variant
    portion: Portion
    seed: int
    recipe: StaticSettings
    warm: WarmStart | None
    hashes: Mapping[str, str | None]

    @property
    def file(self) -> Path:
        return self.folder / "cell.json"

    @property
    def train(self) -> TrainSettings:
        return self.recipe.train

    def plain(self) -> dict[str, Any]:
        """The settings that must be equal for a finished cell to be kept."""
        warm = None if self.warm is None else self.warm.plain()
        init = _weights(self.variant.init) if self.warm is None else None
        pool = asdict(self.variant.pool)
        settings = {"recipe": recipe_plain(self.recipe), "init": init, "warm_start": warm, "unlabelled": pool}
        return {**settings, "file_hashes": self.hashes}

    def defaults(self) -> dict[str, Any]:
        """The values of settings that cells of an earlier version do not name."""
        found = {
            "recipe": default_plain(self.recipe.method),
            "unlabelled": asdict(Pool()),
            "file_hashes": self.hashes,
        }
        return found if self.warm is None else {**found, "warm_start": self.warm.defaults()}


def cells_of(
    out: Path, variants: Sequence[Variant], base: Variant, parts: Sequence[Portion], seeds: Sequence[int]
) -> list[BenchCell]:
    """Every cell, those of the first seed first. base: the unchanged recipe, which warm starts use."""
    hashed = [(variant, file_hashes(variant.recipe)) for variant in variants]
    return [
        _cell(out, variant, hashes, base, portion, seed)
        for seed in seeds
        for portion in parts
        for variant, hashes in hashed
    ]


def _cell(
    out: Path, variant: Variant, hashes: Mapping[str, str | None], base: Variant, portion: Portion, seed: int
) -> BenchCell:
    name = f"{variant.name},{portion.name},seed={seed}"
    recipe = replace(variant.recipe, train=replace(variant.recipe.train, seed=seed))
    warm = _warm_start(out, variant, hashes, base, portion, seed) if variant.warm_start_steps else None
    return BenchCell(name, out / "cells" / name, variant, portion, seed, recipe, warm, hashes)


def _warm_start(
    out: Path, variant: Variant, hashes: Mapping[str, str | None], base: Variant, portion: Portion, seed: int
) -> WarmStart:
    """One for all variants with the same network, init and steps; other overrides do not apply to it."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.artifacts import value_hash

    shape = {name: getattr(variant.recipe, name) for name in _SHAPE}
    train = replace(base.recipe.train, seed=seed)
    recipe = replace(base.recipe, **shape, train=train)
    name = f"{portion.name},seed={seed}"
    usual = {field: getattr(base.recipe, field) for field in _SHAPE}
    if (shape, variant.init, variant.warm_start_steps) != (usual, base.init, base.warm_start_steps):
        name += f",{value_hash([shape, str(variant.init), variant.warm_start_steps])[:8]}"
    folder, steps = out / "warm_starts" / name, variant.warm_start_steps
    # Its method is one of the package.
    return WarmStart(name, folder, portion, seed, recipe, variant.init, steps, {**hashes, "method": None})


def _weights(init: Path | None) -> str | None:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.stores.spec import load_spec

    return None if init is None else load_spec(init).weights_id


@dataclass(frozen=True)
class CellScores:
    """On the scored faces. macro_f1: over the classes that occur; class_f1: (C,)."""

    macro_f1: float
    accuracy: float
    class_f1: tuple[float, ...]


@dataclass(frozen=True)
class BenchResult:
    """The result of a cell. best: of the checkpoint that was chosen on the selection split, None without one.

    labelled, selection, unlabelled: number of faces for learning, for the choice, and without labels. total_seconds:
    wall time of the cell without its warm start, None when it was interrupted. threads, instruction_set: see Processor,
    None in cells of earlier versions.
    """

    last: CellScores
    best: CellScores | None
    best_step: int
    labelled: int
    selection: int
    unlabelled: int
    step_seconds: float
    evaluation_seconds: float
    total_seconds: float | None
    threads: int | None = None
    instruction_set: str | None = None


@dataclass(frozen=True, slots=True)
class _TrainWarmStarts:
    """What workers apply to warm starts."""

    sources: Sources
    holdout: float

    def set_up(self, threads: int | None) -> Callable[[WarmStart, Progress], Path]:
        faces = read_faces(self.sources)

        def train(run: WarmStart, hook: Progress) -> Path:
            # Loaded on use: `--help` and wrong usage are answered without it.
            from abaw.core.artifacts import write_json
            from abaw.inference.devices import processor
            from abaw.training.static import warm_start

            _require_same_files(run)
            part = split(faces, run.portion, self.holdout, run.seed)
            warm_start(run.recipe, run.steps, part.training, part.selection, run.folder, run.init, hook)
            write_json(run.file, {"made_with": run.plain(), **vars(processor())})
            return run.checkpoint

        return train


@dataclass(frozen=True, slots=True)
class _TrainCells:
    """What workers apply to cells."""

    sources: Sources
    holdout: float

    def set_up(self, threads: int | None) -> Callable[[BenchCell, Progress], BenchResult]:
        return _CellTrainer(read_faces(self.sources), self.holdout)


@dataclass(frozen=True, slots=True)
class _CellTrainer:
    faces: BenchFaces
    holdout: float

    def __call__(self, cell: BenchCell, hook: Progress) -> BenchResult:
        # Loaded on use: `--help` and wrong usage are answered without it.
        from abaw.core.artifacts import write_json
        from abaw.core.config import to_plain
        from abaw.inference.devices import processor
        from abaw.training.loop import BEST, LAST
        from abaw.training.static import train_static_on

        _require_same_files(cell)
        begun = time.perf_counter()
        interrupted = (cell.folder / LAST).exists()
        part = split(self.faces, cell.portion, self.holdout, cell.seed, cell.variant.pool)
        init = cell.variant.init if cell.warm is None else cell.warm.checkpoint
        facts = {"portion": cell.portion.name}
        trained = train_static_on(
            cell.recipe, part.training, part.selection, part.unlabelled, cell.folder, init, hook, facts
        )
        scoring = time.perf_counter()
        last = self._score(cell.folder / LAST, cell)
        best = None if part.selection is None else self._score(cell.folder / BEST, cell)
        ended = time.perf_counter()
        result = BenchResult(
            last=last,
            best=best,
            best_step=trained.best_step,
            labelled=len(part.training),
            selection=_count(part.selection),
            unlabelled=_count(part.unlabelled) if cell.recipe.method_class.takes_unlabelled else 0,
            step_seconds=trained.step_seconds,
            evaluation_seconds=trained.evaluation_seconds + ended - scoring,
            total_seconds=None if interrupted else ended - begun,
            **vars(processor()),
        )
        write_json(cell.file, {"made_with": cell.plain(), **to_plain(result)})
        return result

    def _score(self, checkpoint: Path, cell: BenchCell) -> CellScores:
        # Loaded on use: `--help` and wrong usage are answered without it.
        from abaw.training.static import score_static

        faces = self.faces.scored
        scores = score_static(checkpoint, faces, cell.train.accelerator)
        # A class that the data set lacks cannot be scored.
        present = [f1 for f1, count in zip(scores["class_f1"], faces.class_counts(), strict=True) if count]
        return CellScores(sum(present) / len(present), scores["accuracy"], tuple(scores["class_f1"]))


def _count(faces: FaceSet | None) -> int:
    return 0 if faces is None else len(faces)


def run_bench_cells(
    cells: Sequence[BenchCell], sources: Sources, holdout: float, engine: EngineSettings, out: Path
) -> tuple[dict[str, BenchResult], list[str]]:
    """Results by cell name, including those of cells that finished earlier, and a line per failed run."""
    left = [cell for cell in cells if not cell.file.exists()]
    warm = list({cell.warm.name: cell.warm for cell in left if cell.warm is not None}.values())
    failures: list[str] = []
    if warm:
        trainer = _TrainWarmStarts(sources, holdout)
        ready, failures = train_runs(warm, trainer, _read_warm_start, str, engine, out, "warm starts")
        cells = [cell for cell in cells if cell.file.exists() or cell.warm is None or cell.warm.name in ready]
    results, failed = train_runs(cells, _TrainCells(sources, holdout), _read_cell, _line, engine, out)
    return results, [*(f"warm start {line}" for line in failures), *failed]


def _require_same_files(run: WarmStart | BenchCell) -> None:
    """Raise ConfigError when a file of the recipe is another one than when the command started."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.config import differences

    changed = differences(run.hashes, file_hashes(run.recipe))
    if changed:
        raise ConfigError(
            f"a file has changed since the command started ({listed(changed, separator='; ')}); choose another --out, "
            "or restore the file and repeat the command"
        )


def _line(result: BenchResult) -> str:
    seconds = "" if result.total_seconds is None else f", {result.total_seconds:.0f} s"
    return f"macro F1 {result.last.macro_f1:.4f}, accuracy {result.last.accuracy:.4f}{seconds}"


def _read_warm_start(run: WarmStart) -> Path:
    _read(run)
    return run.checkpoint


def _read_cell(cell: BenchCell) -> BenchResult:
    values = _read(cell)
    try:
        last, best = _scores(values["last"]), values["best"] and _scores(values["best"])
        return BenchResult(**{**values, "last": last, "best": best})
    except (KeyError, TypeError) as error:
        raise DataError(f"{cell.file}: not a cell of this version ({error}); choose another --out") from error


def _scores(values: Mapping[str, Any]) -> CellScores:
    return CellScores(values["macro_f1"], values["accuracy"], tuple(values["class_f1"]))


def _read(run: WarmStart | BenchCell) -> dict[str, Any]:
    """The result of a finished run. Raises ConfigError when it was made with other settings."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.artifacts import read_json
    from abaw.core.config import differences, filled

    values = read_json(run.file)
    if not isinstance(values, dict) or not isinstance(values.get("made_with", {}), dict):
        raise DataError(f"{run.file}: not the result of a run; move it away to train this run again")
    changed = differences(filled(values.pop("made_with", {}), run.defaults()), run.plain())
    if changed:
        raise ConfigError(
            f"{run.folder}: finished with other settings ({listed(changed, separator='; ')}); give the variant "
            "another name, or choose another --out"
        )
    return values
