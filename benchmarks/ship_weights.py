"""Write a checkpoint as the package ships it, and compare both: size, time, scores, calibration.

    python benchmarks/ship_weights.py --checkpoint RUN/last --out DIR --calibrate SET_ASIDE.arrow --faces VALID.arrow

The folder also gets the graph with which onnxruntime predicts without torch (extra `export`). Weights of static models
are stored in half precision; temporal models are small and keep theirs. With `--calibrate` the logits are divided by a
temperature, which is fitted on faces that the model has not learned from and becomes part of the head: no prediction
changes, only its confidence.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch

from abaw.data.face_set import join, labelled_stills
from abaw.data.images import ImageReader
from abaw.evaluation.temperature import fit_temperature
from abaw.inference.export import write_graph
from abaw.inference.images import predict_probs
from abaw.models.image_input import image_input
from abaw.models.static import load_static
from abaw.stores.checkpoints import load_checkpoint, save_checkpoint
from abaw.stores.spec import GRAPH, WEIGHTS, load_spec
from abaw.training.static import score_static
from abaw.weights import resolve_checkpoint

BATCH = 64
REPEATS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder of a checkpoint, or builtin")
    parser.add_argument("--out", type=Path, required=True, help="folder for the new checkpoint")
    parser.add_argument(
        "--calibrate", type=Path, nargs="*", default=[], help="labelled stills that set the temperature"
    )
    parser.add_argument("--faces", type=Path, nargs="*", default=[], help="labelled stills on which both are scored")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    source = resolve_checkpoint(arguments.checkpoint, "static")
    write(source, arguments.out, arguments.calibrate)
    for folder in (source, arguments.out) if load_spec(source).kind == "static" else ():
        size = (folder / WEIGHTS).stat().st_size / 1e6
        print(
            f"{folder}: {size:.2f} MB, {1e3 * seconds_per_face(folder):.2f} ms of a core per face in batches of {BATCH}"
        )
        for path in arguments.faces:
            scores = score_static(folder, labelled_stills(path), "cpu", flip=True)
            figures = ", ".join(f"{name} {scores[name]:.4f}" for name in ("accuracy", "macro_f1", "ece"))
            print(f"    {path.stem}, mirrored: {figures}")


def write(source: Path, out: Path, calibrate: Sequence[Path]) -> None:
    """Write the checkpoint and its graph: a static one with half-precision weights, its head divided by the temperature
    if there are faces."""
    checkpoint = load_checkpoint(source)
    is_static = checkpoint.spec.kind == "static"
    weights, training = dict(checkpoint.weights), dict(checkpoint.spec.training)
    if calibrate:
        temperature = temperature_on(source, calibrate)
        for name in ("head.weight", "head.bias"):
            weights[name] = weights[name] / temperature
        training |= {"temperature": temperature, "calibrated_on": [path.stem for path in calibrate]}
        print(f"temperature {temperature:.3f}")
    save_checkpoint(out, replace(checkpoint.spec, training=training), weights, half=is_static)
    report = write_graph(out)
    print(f"{out / GRAPH}: {(out / GRAPH).stat().st_size / 1e3:.0f} kB, differs from torch by {report.difference:.1g}")


def temperature_on(checkpoint: Path, stores: Sequence[Path]) -> float:
    """The temperature of the mirrored predictions of labelled faces."""
    model, spec = load_static(checkpoint)
    image = image_input(spec)
    faces = join([labelled_stills(path) for path in stores])
    probs = predict_probs(model, ImageReader(faces, image.size, cache_mb=0), image, flip=True)
    return fit_temperature(np.log(np.maximum(probs, 1e-12)), faces.labels)


def seconds_per_face(folder: Path) -> float:
    """Processor time of the fastest batch, per face."""
    model, spec = load_static(folder)
    image = image_input(spec)
    faces = image.normalise(torch.rand(BATCH, 3, image.size, image.size))
    times = []
    with torch.inference_mode():
        for _ in range(REPEATS):
            start = time.process_time()
            model(faces)
            times.append(time.process_time() - start)
    return min(times) / BATCH


if __name__ == "__main__":
    main()
