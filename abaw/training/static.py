"""One training run of a static model, and the scores of a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from abaw.core.artifacts import provenance
from abaw.core.errors import ConfigError
from abaw.core.progress import Progress, silent
from abaw.core.run_folder import RunFolder
from abaw.data.face_set import FaceSet
from abaw.data.images import ImageReader, TrainBatches
from abaw.data.sampling import ClassSampler
from abaw.data.settings import Balance
from abaw.evaluation.calibration import calibration_of
from abaw.evaluation.metrics import score_frames
from abaw.inference.devices import choose_device
from abaw.inference.images import predict_classes, predict_probs
from abaw.models.image_input import ImageInput, image_input
from abaw.models.static import StaticModel, build_static, image_for, initialise, load_static, save_static
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.semisup.image_method import Setup
from abaw.stores.arrow import learned_from
from abaw.stores.faces import common_crop
from abaw.stores.spec import load_spec
from abaw.training.launch import launch, with_whole_batch
from abaw.training.loop import LAST, TrainResult, train
from abaw.training.static_recipe import (
    OWN,
    StaticSettings,
    architecture_of,
    balance_of,
    default_plain,
    file_hashes,
    recipe_plain,
)


def train_static_on(
    recipe: StaticSettings,
    training: FaceSet,
    selection: FaceSet | None,
    unlabelled: FaceSet | None,
    out: Path,
    init: Path | None = None,
    hook: Progress = silent,
    facts: Mapping[str, Any] | None = None,
) -> TrainResult:
    """One training run in the run folder `out`, resumed if it was interrupted; equal arguments give equal models.

    selection: labelled faces on which the best checkpoint is chosen; None keeps only the last one. unlabelled: required
    by methods that learn from such faces, ignored by others. init: a checkpoint to start from. facts: what else
    identifies this run; it is stored in the run folder and the checkpoints.
    Raises ConfigError when a method lacks its unlabelled faces or its teacher, and StoreError when the faces are of
    several kinds of crop.
    """
    _require_fit(recipe, unlabelled)
    if not recipe.method_class.takes_unlabelled:
        unlabelled = None
    crop = common_crop([*training.stores, *(() if unlabelled is None else unlabelled.stores)])
    image = image_for(recipe.backbone, recipe.size, recipe.grey, crop)
    setup = Setup(
        _start(recipe, init),
        image,
        recipe.train.steps,
        *_class_shares(training, balance_of(recipe)),
        recipe.load_balance,
    )
    fabric = launch(recipe.train)
    with fabric.rank_zero_first():
        run_folder = _open_run(recipe, training, selection, unlabelled, out, init, facts or {})

    def read(faces: FaceSet) -> ImageReader:
        device = fabric.device if recipe.decode == "device" else "cpu"
        return ImageReader(faces, recipe.size, recipe.cache_mb, device=device)

    method = recipe.method_class(setup, getattr(recipe, recipe.method))
    return train(
        fabric,
        method,
        TrainBatches(
            read(training),
            balance_of(recipe),
            recipe.batch_size,
            recipe.train.seed,
            None if unlabelled is None else read(unlabelled),
            recipe.unlabelled_ratio,
        ),
        run_folder,
        recipe.train,
        evaluate=None if selection is None else _scorer(read(selection), image),
        save=_saver(recipe, image, training, selection, unlabelled, init, facts or {}, method.class_shares),
        select_by="macro_f1",
        progress=hook,
    )


def warm_start(
    recipe: StaticSettings,
    steps: int,
    training: FaceSet,
    selection: FaceSet | None,
    out: Path,
    init: Path | None = None,
    hook: Progress = silent,
) -> Path:
    """Train only on the labelled faces, with `supervised`; returns a checkpoint from which a method can start."""
    train = replace(recipe.train, steps=steps, warmup_steps=min(recipe.train.warmup_steps, steps - 1))
    recipe = replace(recipe, method="supervised", aggregation=OWN, train=train)
    train_static_on(recipe, training, selection, None, out, init, hook)
    return out / LAST


def _require_fit(recipe: StaticSettings, unlabelled: FaceSet | None) -> None:
    if recipe.method_class.takes_unlabelled and unlabelled is None:
        raise ConfigError(f"method {recipe.method} also learns from unlabelled faces: give --unlabelled STORE")
    settings = getattr(recipe, recipe.method)
    if getattr(settings, "needs_average", False) and recipe.train.ema_decay == 0:
        raise ConfigError(
            f"{recipe.method}.teacher is average, but with train.ema_decay 0 there is no average; use "
            f"--{recipe.method}.teacher model"
        )


def _class_shares(training: FaceSet, balance: Balance) -> tuple[Tensor, Tensor]:
    """The class shares of the faces, and the probability of drawing each class, (C,) each."""
    counts = training.class_counts()
    drawn = ClassSampler(training.labels, balance).prior(len(counts))
    return torch.from_numpy(counts / counts.sum()), torch.from_numpy(drawn)


def _start(recipe: StaticSettings, init: Path | None) -> StaticModel:
    architecture = architecture_of(recipe)
    model = build_static(
        architecture,
        len(EXPRESSION_CLASSES),
        recipe.size,
        seed=recipe.train.seed,
        pretrained=recipe.pretrained,
        weights=recipe.backbone_weights,
    )
    if init is not None:
        initialise(model, architecture, EXPRESSION_CLASSES, init)
    # Channels last: on a CPU a step of our own networks takes 13 to 40 % less time, one of EfficientNet-Lite0 half.
    return model.to(memory_format=torch.channels_last)


def _open_run(
    recipe: StaticSettings,
    training: FaceSet,
    selection: FaceSet | None,
    unlabelled: FaceSet | None,
    out: Path,
    init: Path | None,
    facts: Mapping[str, Any],
) -> RunFolder:
    """The run folder. To be resumed, a run must have the same settings, faces, initial weights and method file.

    Runs of earlier versions do not name the content of files.
    """
    faces = {"training": training, "selection": selection, "unlabelled": unlabelled}
    hashes = file_hashes(recipe)
    return RunFolder(
        out,
        {
            **recipe_plain(recipe),
            **facts,
            "init_weights": load_spec(init).weights_id if init is not None else None,
            "faces": {name: None if part is None else part.fingerprint() for name, part in faces.items()},
            "file_hashes": hashes,
        },
        {**default_plain(recipe.method), "file_hashes": hashes},
        with_whole_batch,
    )


def _scorer(reader: ImageReader, image: ImageInput) -> Callable[[nn.Module], Mapping[str, float]]:
    def score(model: nn.Module) -> Mapping[str, float]:
        scores = score_frames(reader.samples.labels, predict_classes(model, reader, image))
        return {"macro_f1": scores.macro_f1, "accuracy": scores.accuracy}

    return score


def _saver(
    recipe: StaticSettings,
    image: ImageInput,
    training: FaceSet,
    selection: FaceSet | None,
    unlabelled: FaceSet | None,
    init: Path | None,
    facts: Mapping[str, Any],
    class_shares: tuple[float, ...],
) -> Callable[[Path, nn.Module, Mapping[str, Any]], None]:
    """Saves checkpoints with their whole provenance, including that of the checkpoint they start from."""
    start = None if init is None else load_spec(init)
    written = provenance(
        settings={**recipe_plain(recipe), **facts},
        faces=[store.name for store in training.stores],
        unlabelled_faces=[] if unlabelled is None else [store.name for store in unlabelled.stores],
        labelled_by=learned_from(training.stores),
        train_counts=training.class_counts().tolist(),
        selection_counts=None if selection is None else selection.class_counts().tolist(),
        unlabelled=None if unlabelled is None else len(unlabelled),
        init=None if start is None else {"weights": start.weights_id, "training": start.training},
        backbone_weights=file_hashes(recipe)["backbone_weights"],
    )

    def save(folder: Path, model: nn.Module, result: Mapping[str, Any]) -> None:
        assert isinstance(model, StaticModel)
        training = {**written, **result}
        save_static(folder, model, architecture_of(recipe), EXPRESSION_CLASSES, image, training, class_shares)

    return save


def score_static(
    checkpoint: Path, faces: FaceSet, accelerator: Literal["auto", "cpu", "cuda"] = "auto", flip: bool = False
) -> dict[str, Any]:
    """macro_f1, accuracy, ece (expected calibration error) and class_f1, (C,), of a checkpoint on labelled faces.

    flip: average with the mirror image.
    """
    model, spec = load_static(checkpoint)
    image = image_input(spec)
    reader = ImageReader(faces, image.size, cache_mb=0)
    probs = predict_probs(model.to(choose_device(accelerator)), reader, image, flip=flip)
    scores = score_frames(faces.labels, probs.argmax(axis=1))
    return {
        "macro_f1": scores.macro_f1,
        "accuracy": scores.accuracy,
        "ece": calibration_of(probs, faces.labels).ece,
        "class_f1": [each.f1 for each in scores.per_class],
    }
