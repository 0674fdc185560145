"""`abaw predict`: features + checkpoint -> per-frame probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from abaw.core.errors import ConfigError, DataError
from abaw.core.progress import Progress
from pipelines.inputs import CheckpointPath, InputPath
from pipelines.items import engine_for, require_workers, run_items

if TYPE_CHECKING:
    from abaw.inference.members import Member


@dataclass(frozen=True)
class PredictConfig:
    """Predict every frame of every video. The stored probabilities are not smoothed.

    Args:
        features: folder of feature stores, or one store; several sources in the order used in training
        checkpoint: a temporal checkpoint, or a static one (frame by frame); the probabilities of several, such as folds
            or seeds, are averaged; builtin is the static one of the package, for its own features
        out: folder for the predictions, one store per video; existing ones are kept
        accelerator: where to compute; auto uses a GPU if there is one
        workers: videos processed in parallel, each worker with its own models; the predictions do not depend on it

    Examples:
        abaw predict --features features/ --checkpoint runs/temporal/last --out predictions/
        abaw predict --features features/ --checkpoint runs/seed0/last runs/seed1/last --out predictions/
    """

    features: tuple[InputPath, ...]
    checkpoint: tuple[CheckpointPath, ...]
    out: Path
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    workers: int = 1


def run(config: PredictConfig) -> int:
    """Exit status: 1 when a video failed, else 0."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.stores.arrow import find_stores

    require_workers(config.workers)
    if not config.checkpoint:
        raise ConfigError("no checkpoint given; use --checkpoint FOLDER")
    sources = [{path.stem: path for path in find_stores([folder])} for folder in config.features]
    names = list(sources[0])
    engine = engine_for(config.workers, len(names), config.accelerator)
    return run_items(names, str, PredictVideos(config, sources), config.out, engine)


@dataclass(frozen=True, slots=True)
class PredictVideos:
    """What workers apply to the names of videos. sources: feature stores by name, of each of `config.features`.

    Returns a line on the result.
    """

    config: PredictConfig
    sources: Sequence[Mapping[str, Path]]

    def set_up(self, threads: int | None) -> Callable[[str, Progress], str]:
        # Loaded on use: `--help` and wrong usage are answered without it.
        from abaw.inference.devices import choose_device
        from abaw.inference.members import load_member
        from abaw.weights import resolve_checkpoint

        device = choose_device(self.config.accelerator)
        members = [load_member(resolve_checkpoint(path, "static"), device) for path in self.config.checkpoint]
        return lambda name, progress: self._predict(members, name)

    def _predict(self, members: Sequence[Member], name: str) -> str:
        # Loaded on use: `--help` and wrong usage are answered without it.
        from abaw.inference.predict import fingerprint, predict_stores
        from abaw.stores.arrow import is_done
        from abaw.stores.features import open_features
        from abaw.stores.predictions import write_predictions

        paths = self._paths(name)
        target = self.config.out / paths[0].name
        if is_done(target, fingerprint(members, paths)):
            return "already exists"
        predictions = predict_stores(members, [open_features(path) for path in paths])
        write_predictions(target, predictions)
        without_face = int((~predictions.valid).sum())
        return f"{len(predictions)} frames, {without_face} of them without a face"

    def _paths(self, name: str) -> list[Path]:
        """The feature stores of a video, one per source."""
        for by_name, folder in zip(self.sources, self.config.features, strict=True):
            if name not in by_name:
                raise DataError(f"{folder}: has no features of this video, but {self.sources[0][name]} exists")
        return [by_name[name] for by_name in self.sources]
