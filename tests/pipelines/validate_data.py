"""Prediction stores and annotations for the tests of `abaw validate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.protocol.annotations import write_annotation
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.stores.predictions import Predictions, write_predictions
from pipelines.cli import main

CLASSES = [0, 1, 2, 3, 4, 5, 6, 7] * 3


def predict(
    folder: Path,
    name: str,
    classes: list[int],
    faces: list[bool] | None = None,
    predicted: list[bool] | None = None,
    meta: dict[str, Any] | None = None,
) -> None:
    """A store whose most probable classes are these."""
    num = len(classes)
    probs = np.full((num, 8), 0.05, np.float32)
    probs[np.arange(num), classes] = 0.65
    store(folder, name, probs, faces, predicted, meta or {})


def store(
    folder: Path,
    name: str,
    probs: NDArray[np.float32],
    faces: list[bool] | None = None,
    predicted: list[bool] | None = None,
    meta: dict[str, Any] | None = None,
    **other_tasks: NDArray[np.float32],
) -> None:
    num = len(probs)
    write_predictions(
        folder / f"{name}.arrow",
        Predictions(
            name,
            EXPRESSION_CLASSES,
            np.arange(1, num + 1, dtype=np.int32),
            np.array(faces or [True] * num),
            np.array(predicted or [True] * num),
            probs,
            {"checkpoints": ["cafe0123"], **(meta or {})},
            **other_tasks,
        ),
    )


def annotate(root: Path, name: str, labels: list[int], split: str = "Validation_Set") -> None:
    write_annotation(root / split / f"{name}.txt", np.array(labels))


def runs(rng: np.random.Generator, length: int = 400, classes: int = 8) -> list[int]:
    """Labels that last 20 frames."""
    return [int(label) for label in np.repeat(rng.integers(0, classes, length // 20), 20)]


def noisy(
    rng: np.random.Generator, labels: list[int], skill: float = 2.0, prior: list[float] | None = None
) -> NDArray[np.float32]:
    """(T, 8) probabilities of a model whose errors are those of single frames."""
    logits = rng.normal(size=(len(labels), 8)) + skill * np.eye(8)[labels] + np.log(prior or [1 / 8] * 8)
    odds = np.exp(logits)
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


def validate(root: Path, *words: str) -> int:
    predictions = words or (str(root / "predictions"),)
    return main(
        [
            "validate",
            "--annotations",
            str(root / "labels"),
            "--out",
            str(root / "report"),
            "--predictions",
            *predictions,
        ]
    )


def metrics(root: Path) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = json.loads((root / "report" / "metrics.json").read_text())["results"]
    return results
