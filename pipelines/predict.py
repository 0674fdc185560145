"""`abaw predict`: features + checkpoint -> per-frame probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from abaw.core.errors import ConfigError, DataError
from pipelines.batch import run_batch
from pipelines.inputs import CheckpointPath, InputPath


@dataclass(frozen=True)
class PredictConfig:
    """Predict every frame of every video. The stored probabilities are not smoothed.

    Args:
        features: folder of feature stores, or one store; several sources in the order used in training
        checkpoint: a temporal checkpoint, or a static one (frame by frame); the probabilities of several, such as folds
            or seeds, are averaged; builtin is the static one of the package, for its own features
        out: folder for the predictions, one store per video; existing ones are kept
        accelerator: where to compute; auto uses a GPU if there is one

    Examples:
        abaw predict --features features/ --checkpoint runs/temporal/last --out predictions/
        abaw predict --features features/ --checkpoint runs/seed0/last runs/seed1/last --out predictions/
    """

    features: tuple[InputPath, ...]
    checkpoint: tuple[CheckpointPath, ...]
    out: Path
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"


def run(config: PredictConfig) -> int:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.inference.devices import choose_device
    from abaw.inference.members import load_member
    from abaw.inference.predict import fingerprint, predict_stores
    from abaw.stores.arrow import find_stores, is_done
    from abaw.stores.features import open_features
    from abaw.stores.predictions import write_predictions
    from abaw.weights import resolve_checkpoint

    if not config.checkpoint:
        raise ConfigError("no checkpoint given; use --checkpoint FOLDER")
    first, *others = [{path.stem: path for path in find_stores([folder])} for folder in config.features]
    device = choose_device(config.accelerator)
    members = [load_member(resolve_checkpoint(path, "static"), device) for path in config.checkpoint]

    def work(name: str) -> str:
        sources = [first[name]]
        for by_name, folder in zip(others, config.features[1:], strict=True):
            if name not in by_name:
                raise DataError(f"{folder}: has no features of this video, {first[name]} has")
            sources.append(by_name[name])
        target = config.out / first[name].name
        if target.exists() and is_done(target, fingerprint(members, sources)):
            return "already there"
        predictions = predict_stores(members, [open_features(path) for path in sources])
        write_predictions(target, predictions)
        without_face = int((~predictions.valid).sum())
        return f"{len(predictions)} frames, {without_face} of them without a face"

    return run_batch(list(first), str, work)
