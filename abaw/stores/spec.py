"""The spec of a checkpoint, `spec.json`: what a model is, read without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from abaw.core.artifacts import read_json
from abaw.core.errors import DataError
from abaw.core.typed import from_plain

SPEC = "spec.json"
EXPORTED = ".onnx"
GRAPH = "graph.onnx"
WEIGHTS = "weights.safetensors"

Kind = Literal["static", "backbone", "temporal"]


class CheckpointError(DataError):
    """A checkpoint that is missing, damaged, or unsuitable for its use."""


@dataclass(frozen=True, slots=True)
class Spec:
    """Everything besides the weights that is needed to rebuild and use a model.

    kind: `static` (image -> feature and logits), `backbone` (image -> feature) or `temporal` (features -> logits).
    architecture: arguments of the model's factory, e.g. {"name": "resnet18"}.
    classes: class names in the order of the outputs.
    feature_dim: D of the static model's output, or of the temporal model's input.
    input: for `static` and `backbone` {"size": px, "mean": [3], "std": [3], "crop": the kind of crop that it expects,
    {"kind", "pixels", "margin"}, or null for any}; for `temporal` {"window", "hop",
    "backbone": hash, "sources": see abaw.stores.sources}.
    training: provenance (recipe, seeds, data, scores).
    weights_sha256: filled in on saving.
    class_shares: how often the model expects each class: its probabilities are right where the classes have these
    shares; None when not recorded, as by earlier versions. Raises ValueError for a feature_dim below 1, and for class
    shares that are not one number of 0 or more per class.
    """

    kind: Kind
    architecture: Mapping[str, Any]
    classes: tuple[str, ...]
    feature_dim: int
    input: Mapping[str, Any]
    training: Mapping[str, Any] = field(default_factory=dict)
    weights_sha256: str = ""
    class_shares: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.feature_dim < 1:
            raise ValueError(f"key 'feature_dim': expected at least 1, found {self.feature_dim}")
        shares = self.class_shares
        if shares is not None and not (len(shares) == len(self.classes) and min(shares, default=0) >= 0):
            raise ValueError(f"key 'class_shares': expected {len(self.classes)} numbers, 0 or more, found {shares}")

    @property
    def weights_id(self) -> str:
        """16 hexadecimal digits that identify these weights in stores made with them."""
        return self.weights_sha256[:16]


def load_spec(folder: Path, kind: Kind | None = None) -> Spec:
    """Read the spec of a checkpoint: the `spec.json` of a folder, or the metadata of an exported file.

    Raises CheckpointError when it is missing, has other keys or types of values than a spec, or is of another kind.
    """
    if is_exported(folder):
        # Loaded on use: few checkpoints are ONNX files.
        from abaw.stores.exported import read_exported

        return read_exported(folder, kind).spec
    path = folder / SPEC
    if not path.exists():
        raise CheckpointError(_missing(folder))
    spec = parse_spec(read_json(path), path)
    require_kind(spec, kind, folder)
    return spec


def is_exported(path: Path) -> bool:
    """Whether a checkpoint's path is that of a file of `abaw export`."""
    return path.suffix == EXPORTED and not path.is_dir()


def has_graph(path: Path) -> bool:
    """Whether a checkpoint predicts without torch: a file of `abaw export`, or a folder with a graph in it."""
    return is_exported(path) or (path / GRAPH).is_file()


def trained_names(training: Mapping[str, Any]) -> set[str]:
    """The stores from which a checkpoint has learned, by name, with and without labels: its own, those of its backbone
    and of the checkpoint that it started from, and those of the models whose labels it has learned.

    training: of its spec.
    """
    keys = ("videos", "backbone_videos", "faces", "unlabelled_faces", "labelled_by")
    names = {name for key in keys for name in training.get(key, ())}
    start = (training.get("init") or {}).get("training")
    return names | trained_names(start) if start else names


def parse_spec(values: Any, path: Path) -> Spec:
    """The spec from JSON values. Raises CheckpointError, which names the path, for other keys or types of values."""
    try:
        return from_plain(Spec, values)
    except ValueError as error:
        raise CheckpointError(
            f"{path}: not a spec of this version ({error}); train again or use its version"
        ) from error


def require_kind(spec: Spec, kind: Kind | None, path: Path) -> None:
    """Raise CheckpointError for a spec of another kind than the one asked for, if any is."""
    if kind is not None and spec.kind != kind:
        raise CheckpointError(f"{path}: expected a {kind} checkpoint, found a {spec.kind} one")


def _missing(folder: Path) -> str:
    """What is wrong with a folder without a spec, and which folder is probably meant."""
    for name in ("last", "best"):
        if (folder / name / SPEC).exists():
            return f"{folder}: this is a run folder, not a checkpoint (no {SPEC}); give {folder / name}"
    return f"{folder}: no checkpoint there (no {SPEC}); give the folder that holds {SPEC}"


def require_classes(spec: Spec, classes: tuple[str, ...], folder: Path) -> None:
    """Raise CheckpointError when the checkpoint's classes are not these, in this order."""
    if spec.classes != classes:
        raise CheckpointError(
            f"{folder}: class order differs: expected {', '.join(classes)}; found {', '.join(spec.classes)}"
        )
