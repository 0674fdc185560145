"""`abaw label-faces`: faces + static checkpoints -> the same faces with soft labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from abaw.core.errors import ConfigError
from abaw.semisup.label_settings import SoftLabelling
from pipelines.console import progress, result, say
from pipelines.inputs import CheckpointPath, InputPath

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from abaw.data.face_set import FaceSet
    from abaw.semisup.soft_labels import Ensemble


@dataclass(frozen=True, kw_only=True)
class LabelFacesConfig:
    """Label faces with the mean prediction of static models, to train another model on them.

    The stores are image sets for `abaw train-static --pseudo_labelled`, where `--supervised.votes` uses the whole
    distributions. Each face is predicted together with its mirror image.

    Args:
        faces: image sets or faces stores of videos, or folders of them; existing labels are ignored
        checkpoint: folders of static checkpoints; builtin is the one of the package
        out: folder for the stores, which keep their names
        labelled: image sets with labels, best of faces that the models have not learned from; they set the expected
            class shares and a threshold per class
        rest: of image sets, take only the faces without a label
        soft: correction, thresholds, and the frames of videos
        accelerator: where to compute; auto uses a GPU if there is one

    Examples:
        abaw label-faces --faces lfw.arrow --checkpoint builtin --out pseudo/
        abaw label-faces --faces lfw.arrow videos/ --checkpoint a/last b/last --soft.smoothing gaussian:5 --out pseudo/
    """

    faces: tuple[InputPath, ...]
    checkpoint: tuple[CheckpointPath, ...]
    out: Path
    labelled: tuple[InputPath, ...] = ()
    rest: bool = False
    soft: SoftLabelling = field(default_factory=SoftLabelling)
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        if not (self.faces and self.checkpoint):
            raise ConfigError("give at least one store of faces and one checkpoint")


def run(config: LabelFacesConfig) -> int:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.inference.devices import choose_device
    from abaw.semisup.soft_labels import Ensemble, label_faces, write_soft_labels
    from abaw.stores.arrow import find_stores
    from abaw.weights import resolve_checkpoint

    paths = find_stores(config.faces)
    targets = _targets(paths, config.out)
    checkpoints = [resolve_checkpoint(each, "static") for each in config.checkpoint]
    ensemble = Ensemble(checkpoints, choose_device(config.accelerator))
    expected = _expected(config, ensemble)
    with progress("label-faces", "stores") as hook:
        made = label_faces([_read(config, path) for path in paths], ensemble, config.soft, *expected, hook)
    for target, labels in zip(targets, made, strict=True):
        write_soft_labels(target, labels, ensemble, config.soft)
        counts = _by_class(labels.labels[labels.labelled])
        result(f"{target}: {int(labels.labelled.sum())} of {len(labels.faces)} faces have a label: {counts}")
    return 0


def _targets(paths: list[Path], out: Path) -> list[Path]:
    """Where the stores are written. Raises DataError when two have the same name or one exists."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.errors import DataError

    targets = [out / path.name for path in paths]
    for index, target in enumerate(targets):
        if target in targets[:index]:
            raise DataError(f"two stores are named {target.name}; give them one by one, each with its own --out")
        if target.exists():
            raise DataError(f"{target}: exists already; choose another --out or remove it")
    return targets


def _read(config: LabelFacesConfig, path: Path) -> FaceSet:
    """The faces of a store to be labelled: all frames of a video with a face, as they are smoothed over time."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.errors import DataError
    from abaw.data.face_set import stills, unlabelled_faces
    from abaw.protocol.classes import UNLABELLED
    from abaw.stores.faces import open_faces

    if not config.rest or open_faces(path).is_video:
        return unlabelled_faces(path, 1)
    faces = stills(path)
    found = faces.take(faces.labels == UNLABELLED)
    if not len(found):
        raise DataError(f"{path}: all its {len(faces)} faces have a label; leave out --rest to label them again")
    return found


def _expected(config: LabelFacesConfig, ensemble: Ensemble) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The expected class shares and the threshold per class, (C,) each."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    import numpy as np

    from abaw.data.face_set import join, labelled_stills
    from abaw.protocol.classes import EXPRESSION_CLASSES, NUM_EXPRESSIONS
    from abaw.semisup.soft_labels import class_thresholds
    from abaw.stores.arrow import find_stores

    if not config.labelled:
        return np.full(NUM_EXPRESSIONS, 1 / NUM_EXPRESSIONS), np.full(NUM_EXPRESSIONS, config.soft.lowest)
    known = join([labelled_stills(path) for path in find_stores(config.labelled)])
    thresholds = class_thresholds(ensemble(known), known.labels, config.soft)
    named = ", ".join(f"{name} {value:.2f}" for name, value in zip(EXPRESSION_CLASSES, thresholds, strict=True))
    say(f"thresholds from {len(known)} labelled faces: {named}")
    return known.class_counts() / len(known), thresholds


def _by_class(labels: NDArray[np.int64]) -> str:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.protocol.classes import EXPRESSION_CLASSES

    return ", ".join(f"{name} {int((labels == index).sum())}" for index, name in enumerate(EXPRESSION_CLASSES))
