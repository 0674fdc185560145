"""`abaw probe`: how good frozen features are, without training a network: linear probe, neighbours, retrieval."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from abaw.core.errors import ConfigError
from pipelines.console import result, say, warn
from pipelines.inputs import CheckpointPath, InputPath

if TYPE_CHECKING:
    from abaw.models.image_input import ImageInput
    from abaw.models.static import StaticModel


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

    found = _probe(config)
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


def _probe(config: ProbeConfig) -> dict[str, Any]:
    """Scores by name, as in probe.json; the figure of queries and neighbours is written to the folder."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.data.face_set import join, unlabelled_faces
    from abaw.data.label_portions import Sources, read_faces
    from abaw.evaluation.probe_faces import probe_expressions, probe_identities
    from abaw.inference.devices import choose_device
    from abaw.protocol.classes import UNLABELLED
    from abaw.stores.arrow import find_stores
    from abaw.viewer.retrieval_figure import write_retrieval

    model, image, name = _model(config)
    model = model.to(choose_device(config.accelerator))
    faces = read_faces(Sources(config.labelled, config.scored, (), 1))
    if faces.left_out:
        warn(f"{faces.left_out} faces of --labelled are left out: --scored has the same photo or crop")
    labelled = faces.labelled.take(faces.labelled.labels != UNLABELLED)
    probes = probe_expressions(model, image, labelled, faces.scored, config.neighbours, config.strength)
    write_retrieval(config.out / "retrieval.png", faces.scored, labelled, probes.neighbours, config.seed)
    found = {
        "features": name,
        "labelled": len(labelled),
        "scored": len(faces.scored),
        "linear": {"macro_f1": probes.linear.macro_f1, "accuracy": probes.linear.accuracy},
        "knn": {"macro_f1": probes.knn.macro_f1, "accuracy": probes.knn.accuracy},
        "retrieval": asdict(probes.retrieval),
    }
    if config.people:
        people = join([unlabelled_faces(path, 1) for path in find_stores(config.people)])
        found["people"] = asdict(probe_identities(model, image, people))
    return found


def _model(config: ProbeConfig) -> tuple[StaticModel, ImageInput, str]:
    """The model, its input, and its name in the result."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.models.architecture import Architecture
    from abaw.models.image_input import image_input
    from abaw.models.static import build_static, image_for, load_features
    from abaw.weights import resolve_checkpoint

    if config.checkpoint is not None:
        model, spec = load_features(resolve_checkpoint(config.checkpoint, "static"))
        return model, image_input(spec), spec.weights_id
    image = image_for(config.backbone, config.size, config.grey)
    say(f"no --checkpoint: using a {config.backbone} backbone with random weights")
    model = build_static(Architecture(backbone=config.backbone), 1, config.size, seed=config.seed)
    return model.eval(), image, f"random {config.backbone}, seed {config.seed}"
