"""Can `Other` be told from the named classes without having learned it? Scores of a static model on labelled clips.

    python benchmarks/open_set.py --labels labels.csv --faces FACES --checkpoint builtin

`labels.csv` has the columns video, first, last, label: stretches of frames (from 1) with one expression; FACES holds
the stores of the videos. For each score it prints the AUROC of `Other` against all other frames, and again without the
videos that show nothing but `Other`: there a score may only know the person.
"""

from __future__ import annotations

import argparse
import csv
import os
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax
from sklearn.metrics import roc_auc_score

from abaw.data.face_set import unlabelled_faces
from abaw.data.images import ImageReader
from abaw.inference.images import read_features
from abaw.models.image_input import image_input
from abaw.models.static import load_static
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.stores.arrow import SUFFIX
from abaw.weights import resolve_checkpoint

OTHER = EXPRESSION_CLASSES.index("Other")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, required=True, help="table of labelled stretches")
    parser.add_argument("--faces", type=Path, required=True, help="folder of the videos' faces stores")
    parser.add_argument("--checkpoint", type=Path, default=Path("builtin"), help="folder of a static checkpoint")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    features, logits, labels, videos = read(arguments.labels, arguments.faces, arguments.checkpoint)
    other = labels == OTHER
    predicted = logits.argmax(axis=1)
    found = (predicted[other] == OTHER).mean()
    print(f"{len(labels)} frames, {other.sum()} of Other, {found:.1%} of these predicted as Other")
    only = [video for video in np.unique(videos) if other[videos == video].all()]
    rest = ~np.isin(videos, only)
    print(f"videos with nothing but Other: {', '.join(only) or 'none'} ({(~rest).sum()} frames)")
    for name, values in scores(features, logits).items():
        everywhere, elsewhere = roc_auc_score(other, values), roc_auc_score(other[rest], values[rest])
        print(f"{name}: AUROC {everywhere:.3f}, without these videos {elsewhere:.3f}")


def read(
    table: Path, faces: Path, checkpoint: Path
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64], NDArray[np.str_]]:
    """Features (N, D), logits (N, C), labels (N,) and videos (N,) of the labelled frames with a face."""
    model, spec = load_static(resolve_checkpoint(checkpoint, "static"))
    image = image_input(spec)
    with table.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if (faces / f"{row['video']}{SUFFIX}").exists()]
    features, labels, videos = [], [], []
    for video in sorted({row["video"] for row in rows}):
        frames = unlabelled_faces(faces / f"{video}{SUFFIX}", 1)
        found = read_features(model, ImageReader(frames, image.size, cache_mb=0), image)
        for row in (row for row in rows if row["video"] == video):
            inside = (frames.rows + 1 >= int(row["first"])) & (frames.rows + 1 <= int(row["last"]))
            features.append(found[inside])
            labels += [EXPRESSION_CLASSES.index(row["label"])] * int(inside.sum())
            videos += [video] * int(inside.sum())
    joined = np.concatenate(features)
    with torch.inference_mode():
        logits = model.classify(torch.from_numpy(joined)).numpy()
    return joined, logits, np.array(labels), np.array(videos)


def scores(features: NDArray[np.float32], logits: NDArray[np.float32]) -> dict[str, NDArray[np.floating]]:
    """Scores that should be high for an unknown expression, (N,) each."""
    probs = softmax(logits, axis=1)
    return {
        "1 − highest probability": 1 - probs.max(axis=1),
        "entropy": -(probs * np.log(np.maximum(probs, 1e-12))).sum(axis=1),
        "energy (arXiv 2010.03759)": -logsumexp(logits, axis=1),
        "−length of the features": -np.linalg.norm(features, axis=1),
        "probability of Other": probs[:, OTHER],
    }


if __name__ == "__main__":
    main()
