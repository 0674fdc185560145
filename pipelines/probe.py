"""`abaw probe`: what frozen features know, without training a network: linear probe, nearest neighbours, retrieval."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from abaw.core.errors import ConfigError, DataError
from abaw.viewer.face_grid import Tile, write_grid
from pipelines.console import result, say, warn
from pipelines.inputs import CheckpointPath, InputPath

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from abaw.data.face_set import FaceSet
    from abaw.models.static import ImageInput, StaticModel

_PERSON = re.compile(r"(.+)_\d+\.\w+$")
_SHOWN = 8
_SAME, _OTHER = "#009e73", "#d55e00"


@dataclass(frozen=True, kw_only=True)
class ProbeConfig:
    """Measure what the features of a checkpoint, or of a random backbone for comparison, know without training.

    Args:
        out: folder for probe.json and retrieval.png
        labelled: image sets with labels from which the probes learn, or folders of them
        scored: image sets with labels on which the probes are scored; their faces are left out of `labelled`
        people: faces named PERSON_0001.jpg, several per person: how often is the nearest neighbour the same person?
        checkpoint: folder of a checkpoint, or builtin; without it, a backbone with random weights
        backbone: the random backbone
        size: its input size in pixels
        grey: whether it gets grey images
        seed: seed of its weights
        neighbours: number K of nearest neighbours
        strength: inverse weight of the linear probe's L2 penalty
        accelerator: where features are computed; auto uses a GPU if there is one

    Examples:
        abaw probe --labelled stills/train.arrow --scored stills/valid.arrow --checkpoint builtin --out probe/
        abaw probe --labelled stills/train.arrow --scored stills/valid.arrow --backbone small --out probe_random/
    """

    out: Path
    labelled: tuple[InputPath, ...]
    scored: tuple[InputPath, ...]
    people: tuple[InputPath, ...] = ()
    checkpoint: CheckpointPath | None = None
    backbone: str = "small"
    size: int = 48
    grey: bool = False
    seed: int = 0
    neighbours: int = 20
    strength: float = 1.0
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        if self.neighbours < 1:
            raise ConfigError(f"neighbours is {self.neighbours}; expected at least 1")
        if not self.strength > 0:
            raise ConfigError(f"strength is {self.strength}; expected more than 0")


def run(config: ProbeConfig) -> int:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.artifacts import provenance, write_json

    found = probe(config)
    write_json(config.out / "probe.json", {**provenance(), **found})
    for name in ("linear", "knn"):
        result(f"{name}: macro F1 {found[name]['macro_f1']:.4f}, accuracy {found[name]['accuracy']:.4f}")
    near = found["retrieval"]
    result(
        f"retrieval: of {config.neighbours} neighbours {near['precision']:.4f} share the expression, "
        f"{near['macro_precision']:.4f} as the mean over expressions (chance {near['chance']:.4f})"
    )
    if "people" in found:
        result(f"people: the nearest neighbour is the same person for {found['people']['same']:.4f} of the faces")
    say(f"{config.out / 'probe.json'}, retrieval.png")
    return 0


def probe(config: ProbeConfig) -> dict[str, Any]:
    """Scores by name; the picture of queries and neighbours is written to the folder."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.data.label_portions import Sources, read_faces
    from abaw.evaluation.metrics import score_frames
    from abaw.evaluation.probe import linear_probe, nearest_neighbours, neighbour_vote, retrieval
    from abaw.inference.devices import choose_device
    from abaw.protocol.classes import UNLABELLED

    model, image, name = _model(config)
    model = model.to(choose_device(config.accelerator))
    faces = read_faces(Sources(config.labelled, config.scored, (), 1))
    if faces.left_out:
        warn(f"{faces.left_out} faces of --labelled are left out: --scored has the same photo or crop")
    known = faces.labelled.take(faces.labelled.labels != UNLABELLED)
    if len(set(known.labels.tolist())) < 2:
        raise DataError(f"--labelled: its {len(known)} labelled faces are of one class; a probe needs two")
    features, queries = (_features(model, each, image) for each in (known, faces.scored))
    neighbours = nearest_neighbours(queries, features, config.neighbours)
    predicted = {
        "linear": linear_probe(features, known.labels, queries, config.strength),
        "knn": neighbour_vote(neighbours, known.labels),
    }
    scores = {each: score_frames(faces.scored.labels, classes) for each, classes in predicted.items()}
    _write_retrieval(config.out / "retrieval.png", faces.scored, known, neighbours, config.seed)
    return {
        "features": name,
        "labelled": len(known),
        "scored": len(faces.scored),
        **{each: {"macro_f1": s.macro_f1, "accuracy": s.accuracy} for each, s in scores.items()},
        "retrieval": asdict(retrieval(neighbours, known.labels, faces.scored.labels)),
        **({"people": _people(config.people, model, image)} if config.people else {}),
    }


def _model(config: ProbeConfig) -> tuple[StaticModel, ImageInput, str]:
    """The model, what it takes, and its name in the result."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.models.architecture import Architecture
    from abaw.models.static import ImageInput, build_static, image_input, load_features
    from abaw.weights import resolve_checkpoint

    if config.checkpoint is not None:
        model, spec = load_features(resolve_checkpoint(config.checkpoint, "static"))
        return model, image_input(spec), spec.weights_id
    image = ImageInput(config.size, config.grey)
    say(f"no --checkpoint: a {config.backbone} with random weights")
    model = build_static(Architecture(backbone=config.backbone), 1, config.size, seed=config.seed)
    return model.eval(), image, f"random {config.backbone}, seed {config.seed}"


def _features(model: StaticModel, faces: FaceSet, image: ImageInput) -> NDArray[np.float32]:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.data.images import ImageReader
    from abaw.inference.images import read_features

    return read_features(model, ImageReader(faces, image.size, cache_mb=0), image)


def _people(paths: Sequence[Path], model: StaticModel, image: ImageInput) -> dict[str, Any]:
    # Loaded on use: `--help` and wrong usage are answered without it.
    import numpy as np

    from abaw.data.face_set import join, unlabelled_faces
    from abaw.evaluation.probe import same_person
    from abaw.stores.arrow import find_stores

    faces = join([unlabelled_faces(path, 1) for path in find_stores(paths)])
    names = [Path(faces.name(index).rpartition(":")[2]).name for index in range(len(faces))]
    matches = [_PERSON.match(name) for name in names]
    if unnamed := [name for name, match in zip(names, matches, strict=True) if match is None]:
        raise DataError(f"--people: {unnamed[0]}: expected names like PERSON_0001.jpg, which tell who is who")
    _, people = np.unique([match[1] for match in matches if match is not None], return_inverse=True)
    share, asked = same_person(_features(model, faces, image), people)
    return {"same": share, "asked": asked, "faces": len(faces)}


def _write_retrieval(path: Path, queries: FaceSet, gallery: FaceSet, neighbours: NDArray[np.int64], seed: int) -> None:
    """A row for each class: a query drawn at random and its neighbours, framed by whether they share its label."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    import numpy as np

    from abaw.core.seed import numpy_generator
    from abaw.data.images import ImageReader
    from abaw.protocol.classes import EXPRESSION_CLASSES

    chosen = [
        int(numpy_generator(seed, "query", int(label)).choice(np.flatnonzero(queries.labels == label)))
        for label in np.unique(queries.labels)
    ]
    asked, found = (ImageReader(faces, 112, cache_mb=0) for faces in (queries, gallery))
    rows = []
    for query, label in zip(chosen, queries.labels[chosen], strict=True):
        near = neighbours[query, :_SHOWN]
        images = [*asked.read(np.array([query])).images, *found.read(near).images]
        labels = [label, *gallery.labels[near]]
        frames = [None, *(_SAME if other == label else _OTHER for other in labels[1:])]
        rows.append(
            [
                Tile(picture.permute(1, 2, 0).numpy(), frame, EXPRESSION_CLASSES[int(each)])
                for picture, frame, each in zip(images, frames, labels, strict=True)
            ]
        )
    count = len(rows[0]) - 1
    write_grid(path, rows, heads=("query", *(f"{k + 1}" for k in range(count))), title="queries and nearest neighbours")
