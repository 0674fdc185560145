"""`abaw predict`: features + checkpoint -> per-frame probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from abaw.core.errors import ConfigError, DataError
from abaw.core.ledger import Made
from abaw.core.mirror import Mirror
from abaw.core.progress import Progress
from abaw.stores.folders import StoreFolders
from abaw.stores.sources import FACE, Source
from pipelines.engine_settings import BatchSettings, engine_for, require_engine
from pipelines.finished import Finished, made_with
from pipelines.inputs import CheckpointPath, OutPath, StoresPath
from pipelines.items import run_items
from pipelines.remote import mirrored, staged

if TYPE_CHECKING:
    from abaw.inference.members import Member


@dataclass(frozen=True)
class PredictConfig(BatchSettings):
    """Predict every frame of every video. The stored probabilities are not smoothed.

    Args:
        features: folder of feature stores, or one store; several sources in the order used in training; sources that a
            checkpoint does not use are passed over; may be s3:// or gs://
        checkpoint: a temporal checkpoint, or a static one (frame by frame), as a folder or a file of `abaw export`; the
            probabilities of several, such as folds or seeds, are averaged; builtin is the static one of the package,
            for its own features
        out: folder for the predictions, one store per video, also at s3:// or gs://; existing ones are kept
        accelerator: where to compute; auto uses a GPU if there is one

    Examples:
        abaw predict --features features/ --checkpoint runs/temporal/last --out predictions/
        abaw predict --features features/ --checkpoint runs/seed0/last runs/seed1/last --out predictions/
    """

    features: tuple[StoresPath, ...]
    checkpoint: tuple[CheckpointPath, ...]
    out: OutPath
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"


def run(config: PredictConfig) -> int:
    """Exit status: 1 when a video failed, else 0."""
    require_engine(config, config.accelerator)
    if not config.checkpoint:
        raise ConfigError("no checkpoint given; use --checkpoint FOLDER")
    with mirrored(config) as (local, mirror):
        return _run(local, mirror)


def _run(config: PredictConfig, mirror: Mirror) -> int:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.data.read_clips import described_source
    from abaw.stores.arrow import find_stores

    found = [find_stores([folder]) for folder in config.features]
    mirror.fetch([stores[0] for stores in found])  # they describe the others
    sources = [described_source(stores) for stores in found]
    mirror.drop([stores[0] for stores in found])
    mirror.look_up([stores[0] for stores in found])
    paths = [{path.stem: path for path in stores} for stores in found]
    faces = [by_name for by_name, source in zip(paths, sources, strict=True) if source.modality == FACE]
    names = list(dict.fromkeys(name for by_name in faces or paths for name in by_name))
    function = PredictVideos(config, paths, sources, StoreFolders(config.out, len(names)))
    settings = made_with(config, ("features", "out"), config.checkpoint)
    finished = Finished(config.out, len(names), settings, function.files, mirror)
    items = finished.left(config.of_shard(names, str))
    engine = engine_for(config, len(items), config.accelerator)
    staging = staged(function, mirror, function.files)
    return run_items(items, str, staging, config.out, engine, finished=finished.add)


@dataclass(frozen=True, slots=True)
class PredictVideos:
    """What workers apply to the names of videos. Returns a line on the result.

    paths: feature stores by name, of each of `config.features`; sources: what they describe.
    """

    config: PredictConfig
    paths: Sequence[Mapping[str, Path]]
    sources: Sequence[Source]
    folders: StoreFolders

    def set_up(self, threads: int | None) -> Callable[[str, Progress], str]:
        # Loaded on use: `--help` and wrong usage are answered without it.
        from abaw.inference.devices import choose_device
        from abaw.inference.members import load_member
        from abaw.weights import resolve_checkpoint

        device = choose_device(self.config.accelerator)
        members = [load_member(resolve_checkpoint(path, "static"), device, threads) for path in self.config.checkpoint]
        return lambda name, progress: self._predict(members, name)

    def files(self, name: str) -> Made:
        inputs = [by_name[name] for by_name in self.paths if name in by_name]
        return Made(inputs, [self.folders.path(inputs[0].name)])

    def _predict(self, members: Sequence[Member], name: str) -> str:
        # Loaded on use: `--help` and wrong usage are answered without it.
        from abaw.data.read_clips import open_video
        from abaw.inference.predict import is_predicted, predict_stores
        from abaw.stores.predictions import write_predictions

        paths = self._paths(name)
        target = self.folders.path(paths[0].name)
        if is_predicted(target, members, paths):
            return "already exists"
        predictions = predict_stores(members, open_video(name, self.paths, self.sources))
        write_predictions(target, predictions)
        without_face = int((~predictions.valid).sum())
        return f"{len(predictions)} frames, {without_face} of them without a face"

    def _paths(self, name: str) -> list[Path]:
        """The feature stores of a video. It may lack sources other than a face: a video without sound has none."""
        found = [by_name[name] for by_name in self.paths if name in by_name]
        for by_name, source, folder in zip(self.paths, self.sources, self.config.features, strict=True):
            if name not in by_name and source.modality == FACE:
                raise DataError(f"{folder}: has no features of this video, but {found[0]} exists")
        return found
