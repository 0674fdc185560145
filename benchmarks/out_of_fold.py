"""Static training recipes compared on every labelled photo, each scored by a model that has not learned from it.

    python benchmarks/out_of_fold.py train --work DIR --faces WHOLE.arrow ALIGNED.arrow --name ships \\
        --recipes static_builtin static_builtin_finetune [--fold 0 2]
    python benchmarks/out_of_fold.py train --work DIR --faces … --name longer --start ships \\
        --recipes static_student static_builtin_finetune [--unlabelled LFW.arrow …]
    python benchmarks/out_of_fold.py score --work DIR --faces … --names ships longer ships+longer

The photos are divided into folds, class by class; crops of one photo, and photos that are copies of each other, are in
one fold (copies are found in the first store, which holds the whole pictures). For each fold, `train` trains the
recipes one after the other on all other folds, each from the last weights of the one before, the first from those of
`--start`. With `--unlabelled`, the models of `--start` label those faces first, as `abaw label-faces` does, and the
first recipe also learns from them. An interrupted run continues. `score` compares all names with the first by paired
draws of photos; of names joined by `+`, it takes the mean weights (out_of_fold_scores.py).

**Rule**, written before the first score. What ships is replaced by the candidate (a recipe, mean weights, a shift) with
the highest macro F1 among those whose macro F1 is higher by more than two standard errors and whose accuracy is not
lower, or whose accuracy is higher by more than two and whose macro F1 is not lower. Unlabelled faces help if learning
from them brings a point of accuracy or two of macro F1 over the same recipes without them, by more than two standard
errors.

Shapes: N faces, C class.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from flipbook_stills import ALIKE, COMPARED_AT_ONCE, thumbnails
from numpy.typing import NDArray
from out_of_fold_scores import table
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from score_stills import keys_of, pictures
from sklearn.model_selection import StratifiedGroupKFold

from abaw.core.artifacts import atomic_path
from abaw.data.face_set import FaceSet, join, labelled_stills, stills, without_photos_of
from abaw.data.images import ImageReader
from abaw.inference.images import predict_probs
from abaw.models.image_input import image_input
from abaw.models.static import load_static
from abaw.protocol.classes import NUM_EXPRESSIONS, UNLABELLED
from abaw.semisup.label_settings import SoftLabelling
from abaw.semisup.soft_labels import Ensemble, label_faces, write_soft_labels
from abaw.stores.checkpoints import load_checkpoint, save_checkpoint
from abaw.training.loop import LAST
from abaw.training.static import train_static_on
from pipelines.cli import parse_config
from pipelines.console import progress
from pipelines.train_static import recipe_of

FOLDS = 4
PROBS = "probs.npy"
SOFT = SoftLabelling(debias=0.5, lowest=0.4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--work", type=Path, required=True, help="folder of all runs")
    common.add_argument("--faces", type=Path, nargs="+", required=True, help="labelled stores, whole pictures first")
    common.add_argument("--fold", type=int, nargs="+", choices=range(FOLDS), default=range(FOLDS), help="only these")
    actions = parser.add_subparsers(dest="action", required=True)
    make = actions.add_parser("train", parents=[common])
    make.add_argument("--name", required=True, help="of what is trained: a sub-folder")
    make.add_argument("--recipes", nargs="+", required=True, help="of train-static, one after the other")
    make.add_argument("--start", help="name whose last weights the first recipe starts from")
    make.add_argument("--unlabelled", type=Path, nargs="*", default=[], help="stores that the models of --start label")
    make.add_argument("--precision", help="train.precision, if not that of the recipes")
    score = actions.add_parser("score", parents=[common])
    score.add_argument("--names", nargs="+", required=True, help="what is scored; all are compared with the first")
    given = parser.parse_args()
    torch.set_num_threads(1)
    faces = join([labelled_stills(path) for path in given.faces])
    folds = folds_of(faces, given.faces[0], given.work / "folds.npy")
    if given.action == "score":
        chosen = np.isin(folds, given.fold)
        faces, folds = faces.take(chosen), folds[chosen]
        found = {name: probs_of(given.work, name, faces, folds) for name in given.names}
        print("\n".join(table(found, faces, folds)))
        return
    if given.unlabelled and not given.start:
        parser.error("--unlabelled needs --start, whose models label the faces")
    plan = Plan(given.work, given.name, given.recipes, given.start, given.unlabelled, given.precision)
    for fold in given.fold:
        train(plan, faces, folds, fold)


@dataclass(frozen=True)
class Plan:
    """What is trained. start: a name; unlabelled: stores that its models label."""

    work: Path
    name: str
    recipes: Sequence[str]
    start: str | None
    unlabelled: Sequence[Path]
    precision: str | None


def folds_of(faces: FaceSet, whole: Path, kept: Path) -> NDArray[np.int64]:
    """The fold of each face, (N,), from 0. Written to `kept`, as finding copies takes a minute."""
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        names = np.array(keys_of(faces))
        photos, first, photo_of = np.unique(names, return_index=True, return_inverse=True)
        number = dict(zip(photos.tolist(), copies(whole, photos.tolist()), strict=True))
        groups = np.array([number[name] for name in photos.tolist()])
        fold_of_photo = np.zeros(len(photos), dtype=np.int64)
        splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
        for fold, (_, members) in enumerate(splitter.split(groups, faces.labels[first], groups)):
            fold_of_photo[members] = fold
        with atomic_path(kept) as partial, partial.open("wb") as file:
            np.save(file, fold_of_photo[photo_of])
    folds: NDArray[np.int64] = np.load(kept)
    if folds.shape != (len(faces),):
        raise SystemExit(f"{kept}: made for {len(folds)} faces, not for these {len(faces)}; choose another --work")
    return folds


def copies(whole: Path, names: Sequence[str]) -> NDArray[np.int64]:
    """A number per photo, (N,), the same for photos that are copies of each other, directly or through others."""
    found = {still.name: still.pixels for still in pictures(whole)}
    pixels = [found[name] for name in names]
    known = thumbnails(pixels)
    pairs: list[NDArray[np.int64]] = []
    for start in range(0, len(pixels), COMPARED_AT_ONCE):
        part = pixels[start : start + COMPARED_AT_ONCE]
        for images in (part, [image[:, ::-1] for image in part]):
            alike = np.argwhere(thumbnails(images) @ known.T > ALIKE)
            pairs.append(alike + np.array([start, 0]))
    rows, columns = np.concatenate(pairs).T
    links = coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(names), len(names)))
    return np.asarray(connected_components(links, directed=False)[1], dtype=np.int64)


def train(plan: Plan, faces: FaceSet, folds: NDArray[np.int64], fold: int) -> None:
    """One fold's model, and its predictions of the fold."""
    folder = plan.work / plan.name / f"fold{fold}"
    training, held = faces.take(folds != fold), faces.take(folds == fold)
    init = None if plan.start is None else last_of(plan.work / plan.start / f"fold{fold}")
    for stage, name in enumerate(plan.recipes):
        learned = training
        if plan.unlabelled and stage == 0:
            assert init is not None
            pseudo = labelled_by(init, plan.unlabelled, training, folder / "pseudo")
            learned = join([training, without_photos_of(pseudo, held)])
        out = folder / f"{stage}"
        words = ["--config", name, "--out", str(out), "--labelled", "given"]
        words += ["--train.precision", plan.precision] if plan.precision else []
        recipe = recipe_of(parse_config("train-static", words))
        with progress(f"{plan.name}, fold {fold}, {name}", "steps") as hook:
            train_static_on(recipe, learned, None, None, out, init, hook)
        init = out / LAST
    assert init is not None
    save(folder / PROBS, predicted(init, held))


def last_of(folder: Path) -> Path:
    """The checkpoint of the last recipe."""
    return max(folder.glob(f"[0-9]/{LAST}"))


def labelled_by(checkpoint: Path, stores: Sequence[Path], training: FaceSet, out: Path) -> FaceSet:
    """The stores' unlabelled faces with soft labels of a model, debiased to the class shares of its training faces."""
    missing = [path for path in stores if not (out / path.name).exists()]
    if missing:
        ensemble = Ensemble([checkpoint], "cpu")
        shares = training.class_counts() / len(training)
        thresholds = np.full(NUM_EXPRESSIONS, SOFT.lowest)
        sets = [each.take(each.labels == UNLABELLED) for each in map(stills, missing)]
        for path, made in zip(missing, label_faces(sets, ensemble, SOFT, shares, thresholds), strict=True):
            write_soft_labels(out / path.name, made, ensemble, SOFT)
    return join([labelled_stills(out / path.name) for path in stores])


def predicted(checkpoint: Path, faces: FaceSet) -> NDArray[np.float32]:
    """Probabilities of the faces, averaged over their mirror images, (N, C)."""
    model, spec = load_static(checkpoint)
    image = image_input(spec)
    return predict_probs(model, ImageReader(faces, image.size, cache_mb=0), image, flip=True)


def save(path: Path, probs: NDArray[np.float32]) -> None:
    with atomic_path(path) as partial, partial.open("wb") as file:
        np.save(file, probs)


def probs_of(work: Path, name: str, faces: FaceSet, folds: NDArray[np.int64]) -> NDArray[np.float32]:
    """Predictions of all faces, (N, C). Those of mean weights are computed if they are missing."""
    probs = np.zeros((len(faces), NUM_EXPRESSIONS), dtype=np.float32)
    for fold in np.unique(folds):
        folder, held = work / name / f"fold{fold}", folds == fold
        if "+" in name and not (folder / PROBS).exists():
            save_mean([last_of(work / each / folder.name) for each in name.split("+")], folder / "0" / LAST)
            save(folder / PROBS, predicted(folder / "0" / LAST, faces.take(held)))
        if not (folder / PROBS).exists():
            raise SystemExit(f"{folder}: has no predictions; train {name} with --fold {fold} first")
        probs[held] = np.load(folder / PROBS)
    return probs


def save_mean(checkpoints: Sequence[Path], out: Path) -> None:
    """A checkpoint with the mean weights of some that share their start."""
    loaded = [load_checkpoint(path) for path in checkpoints]
    weights = {
        key: torch.stack([each.weights[key] for each in loaded]).double().mean(0).to(value.dtype)
        for key, value in loaded[0].weights.items()
    }
    save_checkpoint(out, loaded[0].spec, weights)


if __name__ == "__main__":
    main()
