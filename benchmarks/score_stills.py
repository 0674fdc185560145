"""Scores of a static model on labelled stills, such as FER+ `valid`, by the detector that cropped them.

python benchmarks/score_stills.py --checkpoint builtin --faces ferplus_valid.arrow [MORE.arrow] [--flip]
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from abaw.data.face_set import labelled_stills
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.stores.faces import open_faces
from abaw.training.static import score_static
from abaw.weights import resolve_checkpoint


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=Path("builtin"), help="folder of a static checkpoint")
    parser.add_argument("--faces", type=Path, nargs="+", required=True, help="stores of labelled stills")
    parser.add_argument("--flip", action="store_true", help="also score the mean over each face and its mirror image")
    arguments = parser.parse_args()
    checkpoint = resolve_checkpoint(arguments.checkpoint, "static")
    columns = ["faces", "labelled, with a face", "mirror", "accuracy", "macro F1", "ECE", *EXPRESSION_CLASSES]
    print(f"| {' | '.join(columns)} |")
    print("|---" * len(columns) + "|")
    for path in arguments.faces:
        faces = labelled_stills(path)
        with_label = int((open_faces(path).labels >= 0).sum())
        for flip in (False, True) if arguments.flip else (False,):
            scores = score_static(checkpoint, faces, "cpu", flip)
            by_class = " | ".join(f"{f1:.2f}" for f1 in scores["class_f1"])
            fields = [path.stem, f"{len(faces)} of {with_label}", "yes" if flip else "no"]
            figures = " | ".join(f"{scores[name]:.4f}" for name in ("accuracy", "macro_f1", "ece"))
            print(f"| {' | '.join(fields)} | {figures} | {by_class} |")


if __name__ == "__main__":
    main()
