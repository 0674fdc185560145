"""Scores of a static model on labelled stills, such as FER+ `valid`, by the detector that cropped them.

    python benchmarks/score_stills.py --checkpoint builtin --faces ferplus_valid.arrow [MORE.arrow] [--flip]

With `--photos` and `--learned`, the whole pictures of the scored photos and of those that the model has learned from,
each store is also scored without the photos that are copies of the latter, cropped, scaled, lit or mirrored otherwise.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import cv2
import numpy as np
from flipbook_stills import Still, shared

from abaw.data.face_set import FaceSet, labelled_stills, stills
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.stores.faces import open_faces
from abaw.training.static import score_static
from abaw.weights import resolve_checkpoint


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=Path("builtin"), help="folder of a static checkpoint")
    parser.add_argument("--faces", type=Path, nargs="+", required=True, help="stores of labelled stills")
    parser.add_argument("--flip", action="store_true", help="also score the mean over each face and its mirror image")
    parser.add_argument("--photos", type=Path, help="store with the whole pictures of the scored photos")
    parser.add_argument("--learned", type=Path, help="store with the whole pictures that the model has learned from")
    arguments = parser.parse_args()
    if (arguments.photos is None) != (arguments.learned is None):
        parser.error("--photos and --learned belong together: copies are found by comparing both")
    checkpoint = resolve_checkpoint(arguments.checkpoint, "static")
    copies = names_of_copies(arguments.photos, arguments.learned) if arguments.photos else set()
    columns = ["faces", "labelled, with a face", "mirror", "accuracy", "macro F1", "ECE", *EXPRESSION_CLASSES]
    print(f"| {' | '.join(columns)} |")
    print("|---" * len(columns) + "|")
    for path in arguments.faces:
        with_label = int((open_faces(path).labels >= 0).sum())
        for name, faces in sets(path, copies):
            for flip in (False, True) if arguments.flip else (False,):
                scores = score_static(checkpoint, faces, "cpu", flip)
                by_class = " | ".join(f"{f1:.2f}" for f1 in scores["class_f1"])
                fields = [name, f"{len(faces)} of {with_label}", "yes" if flip else "no"]
                figures = " | ".join(f"{scores[figure]:.4f}" for figure in ("accuracy", "macro_f1", "ece"))
                print(f"| {' | '.join(fields)} | {figures} | {by_class} |", flush=True)


def sets(path: Path, copies: set[str]) -> Iterator[tuple[str, FaceSet]]:
    """The labelled faces of a store, and those without copies if there are any, with names for the table."""
    faces = labelled_stills(path)
    yield path.stem, faces
    if copies:
        yield f"{path.stem}, no copies", faces.take(np.array([key not in copies for key in keys_of(faces)]))


def names_of_copies(photos: Path, learned: Path) -> set[str]:
    """Names of the photos that are copies of a photo of `learned`."""
    scored, known = pictures(photos), pictures(learned)
    return {still.name for still, again in zip(scored, shared(scored, known), strict=True) if again}


def pictures(path: Path) -> list[Still]:
    """The crops of an image set, in grey."""
    faces = stills(path)
    encoded = (np.frombuffer(faces.jpeg(index), np.uint8) for index in range(len(faces)))
    grey = (np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8) for data in encoded)
    return [
        Still(name, int(label), image) for name, label, image in zip(keys_of(faces), faces.labels, grey, strict=True)
    ]


def keys_of(faces: FaceSet) -> list[str]:
    """The name of each photo."""
    return [
        str(faces.stores[store].keys[int(row)].as_py())
        for store, row in zip(faces.store_index, faces.rows, strict=True)
    ]


if __name__ == "__main__":
    main()
