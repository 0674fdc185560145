"""`abaw fuse`: the predictions of several models -> their weighted mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from abaw.core.errors import ConfigError, DataError
from abaw.core.progress import Progress
from abaw.core.text import listed
from abaw.stores.folders import StoreFolders
from pipelines.console import progress, result, warn
from pipelines.engine_settings import BatchSettings, engine_for, require_engine
from pipelines.inputs import InputPath, short_names
from pipelines.items import run_items

if TYPE_CHECKING:
    from abaw.evaluation.fusion import FittedFusion, Input
    from abaw.inference.fuse import Choice, Weights

REPORT = "fusion.json"


@dataclass(frozen=True, kw_only=True)
class FuseConfig(BatchSettings):
    """Combine the predictions of several models, folds or sources: the arithmetic mean of probabilities and values.

    Args:
        predictions: two or more folders of prediction stores (`abaw predict`, `abaw cross-validate`)
        out: folder for the fused predictions, one store per video; existing ones are kept
        weights: equal, or oof: a weight per folder and task, fitted to annotated videos, with a nested score
        annotations: folder with Train_Set and Validation_Set, for oof
        out_of_fold: folders of predictions to fit the weights on, one for each of `predictions` and in their order; by
            default these themselves
        split: annotated videos to fit on

    Examples:
        abaw fuse predictions/static predictions/temporal --out fused/
        abaw fuse runs/a/predictions runs/b/predictions --weights oof --annotations annotations/ --out fused/
        abaw fuse test/a test/b --weights oof --out_of_fold oof/a oof/b --annotations annotations/ --out fused/
    """

    predictions: tuple[InputPath, ...]
    out: Path
    weights: Literal["equal", "oof"] = "equal"
    annotations: InputPath | None = None
    out_of_fold: tuple[InputPath, ...] = ()
    split: Literal["validation", "train", "both"] = "both"


def run(config: FuseConfig) -> int:
    """Exit status: 1 when a video failed, else 0."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.artifacts import provenance, write_json
    from abaw.inference.fuse import Choice, equal_weights

    _require_settings(config)
    inputs = _inputs(config.predictions)
    tasks = _tasks(inputs)
    fitted = _fit(config, inputs, tasks) if config.weights == "oof" else None
    weights = fitted.weights if fitted else equal_weights(tasks, len(inputs))
    choice = fitted.choice if fitted else Choice()
    videos = sorted({video for each in inputs for video in each.stores})
    function = FuseVideos(tuple(inputs), weights, choice, StoreFolders(config.out, len(videos)))
    items = config.of_shard(videos, str)
    if fitted:
        function.require_no_others(videos)  # before the report that describes them is replaced
        names = [each.name for each in inputs]
        write_json(config.out / REPORT, {**provenance(), **fitted.facts(names)})
        _print_fit(fitted, names)
    _warn_of_gaps(videos, inputs)
    return run_items(items, str, function, config.out, engine_for(config, len(items)))


def _require_settings(config: FuseConfig) -> None:
    require_engine(config)
    if len(config.predictions) < 2:
        raise ConfigError(f"{len(config.predictions)} folder of predictions given: expected two or more to combine")
    for folders in (config.predictions, config.out_of_fold):
        places = [folder.resolve() for folder in folders]
        twice = next((folder for folder, place in zip(folders, places, strict=True) if places.count(place) > 1), None)
        if twice is not None:
            raise ConfigError(f"{twice} is given twice; give each model's predictions once")
    if config.out.resolve() in [folder.resolve() for folder in (*config.predictions, *config.out_of_fold)]:
        raise ConfigError(f"{config.out}: --out is one of the inputs; choose another --out")
    if config.weights == "equal":
        given = [name for name in ("annotations", "out_of_fold") if getattr(config, name)]
        if given:
            raise ConfigError(f"--{given[0]} is for --weights oof; leave it out, or add --weights oof")
        return
    if config.annotations is None:
        raise ConfigError("--weights oof fits weights to annotated videos; give --annotations")
    if config.out_of_fold and len(config.out_of_fold) != len(config.predictions):
        raise ConfigError(
            f"--out_of_fold: expected one folder for each of the {len(config.predictions)} of predictions, in their "
            f"order; found {len(config.out_of_fold)}"
        )


def _inputs(folders: Sequence[Path]) -> list[Input]:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.evaluation.fusion import Input
    from abaw.stores.arrow import find_stores

    return [
        Input(name, {path.stem: path for path in find_stores([folder])})
        for folder, name in zip(folders, short_names(folders), strict=True)
    ]


def _tasks(inputs: Sequence[Input]) -> tuple[str, ...]:
    """The tasks that all inputs predict, by the first store of each. Raises DataError when they differ."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.stores.predictions import predicted_tasks

    found = {each.name: predicted_tasks(next(iter(each.stores.values()))) for each in inputs}
    first, *_ = found
    for name, tasks in found.items():
        if tasks != found[first]:
            raise DataError(
                f"the tasks differ: {first} has {listed(found[first])}; {name} has {listed(tasks)}; fuse predictions "
                "of the same kind"
            )
    return found[first]


def _fit(config: FuseConfig, inputs: Sequence[Input], tasks: Sequence[str]) -> FittedFusion:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.evaluation.fusion import fit_fusion
    from abaw.evaluation.scored_labels import read_scored_labels
    from abaw.protocol.annotations import SPLITS

    assert config.annotations is not None, "required for oof"
    sources = _inputs(config.out_of_fold) if config.out_of_fold else inputs
    if _tasks(sources) != tasks:
        raise DataError(f"--out_of_fold has {listed(_tasks(sources))}, the predictions have {listed(tasks)}")
    _require_order(inputs, sources)
    faults: list[str] = []
    labels = read_scored_labels(config.annotations, SPLITS[config.split], tasks, faults)
    if faults:
        raise DataError(f"the weights need all annotations: {listed(faults, 3, '; ')}")
    with progress("fitting the weights", "videos") as hook:
        return fit_fusion(sources, labels, hook)


def _require_order(inputs: Sequence[Input], sources: Sequence[Input]) -> None:
    """Raise ConfigError when the checkpoints show that out-of-fold predictions belong to another of the inputs."""
    ours, theirs = [_checkpoints(each) for each in inputs], [_checkpoints(each) for each in sources]
    for index, found in enumerate(theirs):
        others = [each for each, known in zip(inputs, ours, strict=True) if known & found]
        if others and not ours[index] & found:
            raise ConfigError(
                f"--out_of_fold: {sources[index].name} is of the models of {others[0].name}, but in the place of "
                f"{inputs[index].name}; give both lists of folders in the same order"
            )


def _checkpoints(member: Input) -> set[str]:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.stores.arrow import read_header
    from abaw.stores.predictions import KIND

    metas = [read_header(path, KIND).meta for path in member.stores.values()]
    return {checkpoint for meta in metas for checkpoint in meta.get("checkpoints", ())}


def _print_fit(fitted: FittedFusion, names: Sequence[str]) -> None:
    for note in fitted.notes:
        warn(note)
    for task, score in fitted.scores.items():
        for name, weight, alone in zip(names, fitted.weights[task], score.members, strict=True):
            result(f"{task}: {name}: weight {weight:.3f}, alone {score.measure} {alone}")
        result(f"{task}: {score.summary()}; {len(fitted.videos)} videos")
        if score.nested and score.nested.value < score.equal.value:
            warn(f"{task}: the fitted weights are no better than equal ones (nested score); consider --weights equal")


def _warn_of_gaps(videos: Sequence[str], inputs: Sequence[Input]) -> None:
    for each in inputs:
        lacking = [video for video in videos if video not in each.stores]
        if lacking:
            warn(
                f"{each.name}: has no predictions of {len(lacking)} of {len(videos)} videos, which are fused from the "
                f"others: {listed(lacking)}"
            )


@dataclass(frozen=True, slots=True)
class FuseVideos:
    """What workers apply to the names of videos. Returns a line on the result."""

    inputs: tuple[Input, ...]
    weights: Weights
    choice: Choice
    folders: StoreFolders

    def set_up(self, threads: int | None) -> Callable[[str, Progress], str]:
        return lambda video, progress: self._fuse(video)

    def require_no_others(self, videos: Sequence[str]) -> None:
        """Raise StoreError when a store of one of the videos is there that was made in another way."""
        for video in videos:
            self._is_done(video)

    def _fuse(self, video: str) -> str:
        # Loaded on use: `--help` and wrong usage are answered without it.
        from abaw.evaluation.fusion import read_members
        from abaw.inference.fuse import fuse
        from abaw.stores.predictions import write_predictions

        if self._is_done(video):
            return "already exists"
        members = read_members(self.inputs, video)
        predictions = fuse(members, self._weights(video), self.choice)
        write_predictions(self._target(video), predictions)
        without = int((~predictions.predicted).sum())
        of = "" if len(members) == len(self.inputs) else f" of {len(self.inputs)}"
        return f"{len(predictions)} frames from {len(members)}{of} members, {without} of them not predicted"

    def _is_done(self, video: str) -> bool:
        """Raises StoreError when another store is there."""
        # Loaded on use: `--help` and wrong usage are answered without it.
        from abaw.core.artifacts import quick_hash
        from abaw.inference.fuse import fingerprint
        from abaw.stores.arrow import is_done

        target = self._target(video)
        if not target.exists():
            return False
        members = [(each.name, quick_hash(each.stores[video])) for each in self.inputs if video in each.stores]
        return is_done(target, fingerprint(members, self._weights(video), self.choice))

    def _weights(self, video: str) -> Weights:
        """Of the inputs that have the video."""
        # Loaded on use: `--help` and wrong usage are answered without it.
        from abaw.inference.fuse import weights_of

        return weights_of([index for index, each in enumerate(self.inputs) if video in each.stores], self.weights)

    def _target(self, video: str) -> Path:
        return self.folders.path(f"{video}.arrow")
