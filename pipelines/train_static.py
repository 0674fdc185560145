"""`abaw train-static`: labelled and unlabelled faces -> static expression model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from abaw.core.config import part_of
from abaw.core.errors import ConfigError
from abaw.core.processes import is_first_process
from abaw.core.text import listed
from abaw.training.static_recipe import StaticSettings, static_recipe_class, with_methods
from pipelines.console import progress, result, say, warn
from pipelines.inputs import CheckpointPath, InputPath

if TYPE_CHECKING:
    from abaw.data.face_set import FaceSet
    from abaw.training.loop import TrainResult

WARM_START = "warm_start"
"""The run that a run starts from is next to it, in a folder of the same name with this ending."""


@dataclass(frozen=True, kw_only=True)
class TrainStaticSettings(StaticSettings):
    """Train the static model: one face image -> expression.

    Args:
        out: run folder; an existing run is resumed
        labelled: image sets with labels (`abaw import-images`), or folders of them
        unlabelled: unlabelled faces: image sets or faces stores of videos, or folders of them; existing labels are
            ignored
        pseudo_labelled: image sets with labels of `abaw label-faces`, from which any method learns as from labelled
            ones; they are never held out, and photos and videos that are held out are left out of them
        rest_unlabelled: also use the faces of `labelled` and the frames of `videos` that have no label as unlabelled
            faces, except those of videos that are held out
        videos: folder of faces stores of videos, to train on their frames; needs annotations
        annotations: folder with Train_Set, or the folder of the annotation files itself; needs videos
        every: use one labelled frame in N of a video, and one frame in N of an unlabelled video: neighbours look alike
        holdout: share of the labelled faces held out to choose the best checkpoint (whole videos for frames); 0 trains
            on all of them and keeps the last checkpoint only
        init: folder of the checkpoint to start from (of train-static or pretrain), or builtin
        warm_start_steps: steps of supervised training before, in a separate run (OUT.warm_start) from which the method
            starts

    Examples:
        abaw train-static --labelled stills/ --out runs/static
        abaw train-static --method fixmatch --labelled stills/ --unlabelled faces/ --out runs/fixmatch
        abaw train-static --config static_affwild2 --videos faces --annotations labels --out run
    """

    out: Path
    labelled: tuple[InputPath, ...] = ()
    unlabelled: tuple[InputPath, ...] = ()
    pseudo_labelled: tuple[InputPath, ...] = ()
    rest_unlabelled: bool = False
    videos: InputPath | None = None
    annotations: InputPath | None = None
    every: int = 10
    holdout: float = 0.1
    init: CheckpointPath | None = None
    warm_start_steps: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.labelled and self.videos is None:
            raise ConfigError("nothing to learn from: give labelled image sets, or videos with annotations")
        if (self.videos is None) != (self.annotations is None):
            raise ConfigError("videos and annotations belong together: frames get their labels from annotation files")
        if self.init is not None and (self.pretrained or self.backbone_weights is not None):
            other = "pretrained" if self.pretrained else "backbone_weights"
            raise ConfigError(f"init and {other} are two places to start from; give one of them")
        if self.warm_start_steps < 0:
            raise ConfigError(f"warm_start_steps is {self.warm_start_steps}; expected at least 0")


TrainStaticConfig = with_methods(TrainStaticSettings, "TrainStaticConfig", __name__)


def run(config: TrainStaticSettings) -> int:
    outcome = train_static(config)
    if not config.holdout:
        result(f"{config.out / 'last'}: step {outcome.steps}; nothing was held out, so there is no score")
        return 0
    say(f"scores on {config.holdout:.0%} of the labelled faces, held out; the best step was chosen on them")
    for name, step, scores in (("last", outcome.steps, outcome.last), ("best", outcome.best_step, outcome.best)):
        values = ", ".join(f"{key} {value:.4f}" for key, value in scores.items())
        result(f"{config.out / name}: step {step}, {values}")
    return 0


def train_static(config: TrainStaticSettings) -> TrainResult:
    """One training run in its folder, resumed if it exists. The same settings give the same model."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.training.loop import LAST
    from abaw.training.static import train_static_on, warm_start
    from abaw.viewer.attention_figure import ATTENTION, write_attention
    from abaw.weights import resolve_checkpoint

    init = None if config.init is None else resolve_checkpoint(config.init, "static")
    samples = read_labelled(config)
    training, selection = _split(config, samples)
    _report_classes(training)
    if config.pseudo_labelled:
        training = _with_pseudo_labelled(config, training, selection)
    _report_size(training, config.size)
    unlabelled = _read_unlabelled(config, selection) if config.method_class.takes_unlabelled else None
    if unlabelled is not None:
        say(f"{len(unlabelled)} unlabelled faces")
    recipe = recipe_of(config)
    if config.warm_start_steps:
        with progress("warm start", "steps") as hook:
            folder = config.out.with_name(f"{config.out.name}.{WARM_START}")
            init = warm_start(recipe, config.warm_start_steps, training, selection, folder, init, hook)
    with progress("train-static", "steps") as hook:
        facts = {"every": config.every, "holdout": config.holdout, "warm_start_steps": config.warm_start_steps}
        outcome = train_static_on(recipe, training, selection, unlabelled, config.out, init, hook, facts)
    shown = config.out / ATTENTION
    if is_first_process() and write_attention(shown, config.out / LAST, training, config.train.seed):
        say(f"{shown}: where the model looks")
    return outcome


def recipe_of(config: StaticSettings) -> StaticSettings:
    """The part of a config that is the recipe."""
    recipe: StaticSettings = part_of(config, static_recipe_class())
    return recipe


def read_labelled(config: TrainStaticSettings) -> FaceSet:
    """All labelled faces of the config, image sets first. Missing stores are reported as a warning."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.data.face_set import join, labelled_frames, labelled_stills
    from abaw.protocol.annotations import TRAIN_SET, split_folder
    from abaw.stores.arrow import find_stores

    parts = [labelled_stills(path) for path in find_stores(config.labelled)]
    if config.videos is not None and config.annotations is not None:
        folder = split_folder(config.annotations, TRAIN_SET)
        frames, missing = labelled_frames(config.videos, folder, config.every)
        parts.append(frames)
        if missing:
            warn(f"{len(missing)} annotated videos have no faces store in {config.videos}: {listed(missing)}")
    return join(parts)


def _read_unlabelled(config: TrainStaticSettings, selection: FaceSet | None) -> FaceSet | None:
    """All unlabelled faces of the config but those of videos that are held out; None without any."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.data.face_set import join, stills, unlabelled_faces, unlabelled_frames, without_videos_of
    from abaw.protocol.annotations import TRAIN_SET, split_folder
    from abaw.protocol.classes import UNLABELLED
    from abaw.stores.arrow import find_stores

    parts = [unlabelled_faces(path, config.every) for path in find_stores(config.unlabelled)]
    if config.rest_unlabelled:
        sets = [stills(path) for path in find_stores(config.labelled)]
        parts += [rest for faces in sets if len(rest := faces.take(faces.labels == UNLABELLED).without_labels())]
    if config.rest_unlabelled and config.videos is not None and config.annotations is not None:
        frames = unlabelled_frames(config.videos, split_folder(config.annotations, TRAIN_SET), config.every)
        parts += [] if frames is None else [frames]
    if not parts:
        return None
    found = join(parts) if selection is None else without_videos_of(join(parts), selection)
    return found if len(found) else None


def _with_pseudo_labelled(config: TrainStaticSettings, training: FaceSet, selection: FaceSet | None) -> FaceSet:
    """The faces to learn from and those with pseudo-labels, without photos and videos that are held out."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.data.face_set import join, labelled_stills, without_photos_of, without_videos_of
    from abaw.stores.arrow import find_stores

    pseudo = join([labelled_stills(path) for path in find_stores(config.pseudo_labelled)])
    if selection is not None:
        pseudo = without_videos_of(without_photos_of(pseudo, selection), selection)
    counts = pseudo.class_counts().tolist()
    say(f"{len(pseudo)} faces with pseudo-labels, by class {', '.join(map(str, counts))}")
    return join([training, pseudo])


def _split(config: TrainStaticSettings, samples: FaceSet) -> tuple[FaceSet, FaceSet | None]:
    """The faces to learn from, and those that choose the best checkpoint."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.seed import numpy_generator
    from abaw.data.sampling import hold_out_photos

    if not config.holdout:
        return samples, None
    generator = numpy_generator(config.train.seed, "holdout")
    held = hold_out_photos(samples, config.holdout, generator)
    return samples.take(~held), samples.take(held)


def _report_size(training: FaceSet, size: int) -> None:
    """A note when the model's input is larger than the crops."""
    crop = training.stores[0].crop
    if crop.pixels < size:
        say(f"{crop} crops are enlarged to the model's {size} pixels; larger ones show more (--crop of abaw extract)")


def _report_classes(training: FaceSet) -> None:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.protocol.classes import EXPRESSION_CLASSES

    counts = dict(zip(EXPRESSION_CLASSES, training.class_counts().tolist(), strict=True))
    say(f"{len(training)} faces to learn from: {', '.join(f'{name} {count}' for name, count in counts.items())}")
    absent = [name for name, count in counts.items() if count == 0]
    if absent:
        warn(f"no face is labelled {', '.join(absent)}: the model cannot learn these classes")
