"""`abaw predict`: features + checkpoint -> per-frame probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from abaw.core.errors import ConfigError
from pipelines.batch import run_batch


@dataclass(frozen=True)
class PredictConfig:
    """Predict every frame of every video. Probabilities are stored as they are, never smoothed.

    Args:
        features: folder of feature stores, or one store
        checkpoint: a temporal checkpoint, or a static one (frame by frame); of several the probabilities are averaged
        out: folder for the predictions, one store a video; those that are there are not made again
        accelerator: where to compute; auto takes a GPU when there is one
    """

    features: Path
    checkpoint: tuple[Path, ...]
    out: Path
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"


def run(config: PredictConfig) -> int:
    from abaw.inference.devices import choose_device
    from abaw.inference.predict import fingerprint, load_member, predict_store
    from abaw.stores.arrow import find_stores, is_done
    from abaw.stores.features import open_features
    from abaw.stores.predictions import write_predictions

    if not config.checkpoint:
        raise ConfigError("no checkpoint given; use --checkpoint FOLDER")
    paths = find_stores([config.features])
    device = choose_device(config.accelerator)
    members = [load_member(folder, device) for folder in config.checkpoint]

    def work(path: Path) -> str:
        target = config.out / path.name
        if target.exists() and is_done(target, fingerprint(members, path)):
            return "already there"
        predictions = predict_store(members, open_features(path))
        write_predictions(target, predictions)
        without_face = int((~predictions.valid).sum())
        return f"{len(predictions)} frames, {without_face} of them without a face"

    return run_batch(paths, lambda path: path.stem, work)
