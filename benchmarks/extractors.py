"""`abaw features --checkpoint onnx:…` compared with the bare session of onnxruntime on the same batches.

    python benchmarks/extractors.py [--frames 3000] [--size 224] [--batch_size 32] [--network efficientnet_b0]

The script makes a store of random crops and an ONNX file of a network of timm with random weights (time does not depend
on the values). Then the stores of parts of the video, and bare `session.run` calls on batches that are ready in memory,
take turns, so that other load on the machine affects both alike. It prints frames per second of each and their ratio,
the median over the turns with its quartiles, and the ratio of the total times. Reading and decoding the crops,
normalising them, checking and writing the features all count for the command; loading the network counts for neither.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pyarrow as pa
import torch

from abaw.core.config import to_plain
from abaw.core.onnx_session import session_options
from abaw.extractors.extractor import Extractor
from abaw.extractors.registry import open_extractor
from abaw.extractors.settings import ExtractorSettings
from abaw.inference.devices import choose_device
from abaw.inference.features import write_video_features
from abaw.stores.crop import Crop
from abaw.stores.faces import VIDEO_SCHEMA, open_faces, write_video_faces

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--frames", type=int, default=3000, help="of the whole video")
    parser.add_argument("--turns", type=int, default=10, help="parts of the video")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--network", default="efficientnet_b0", help="a name of timm")
    parser.add_argument("--accelerator", choices=("auto", "cpu", "cuda"), default="auto")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        network = export(root / "network.onnx", options.network, options.size)
        part = options.frames // options.turns
        stores = [write_part(root / f"faces/{turn}.arrow", part, options.size, turn) for turn in range(options.turns)]
        device = choose_device(options.accelerator)
        settings = ExtractorSettings(mean=_MEAN, std=_STD)
        extractor = open_extractor(f"onnx:{network}", device, settings, batch_size=options.batch_size)
        bare = bare_session(network, extractor, device)
        ours, alone = take_turns(extractor, bare, stores, options, root / "features")
    report(ours, alone, part, options, bare.get_providers()[0])


def export(path: Path, name: str, size: int) -> Path:
    import timm

    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=0).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, which is about to be replaced
        torch.onnx.export(
            network,
            (torch.zeros(2, 3, size, size),),
            str(path),
            input_names=["image"],
            output_names=["feature"],
            dynamic_axes={"image": {0: "batch"}, "feature": {0: "batch"}},
            dynamo=False,
        )
    return path


def write_part(path: Path, frames: int, size: int, seed: int) -> Path:
    """Smooth pictures with some noise, which take as many bytes as crops of faces do."""
    rng = np.random.default_rng(seed)
    crop = to_plain(Crop("box", size, 0.3))
    write_video_faces(path, parts_of(frames, size, rng), {"fingerprint": f"part {seed}", "fps": 30.0, "crop": crop})
    return path


def parts_of(frames: int, size: int, rng: np.random.Generator) -> Iterator[pa.RecordBatch]:
    for start in range(0, frames, 100):
        count = min(100, frames - start)
        columns = {
            "frame": list(range(start + 1, start + count + 1)),
            "time_s": [(start + index) / 30 for index in range(count)],
            "jpeg": [picture(size, rng) for _ in range(count)],
            "box_xyxy": [[0.0] * 4] * count,
            "landmarks_xy": [[0.0] * 10] * count,
            "score": [1.0] * count,
            "track": [0] * count,
            "fault": [None] * count,
        }
        yield pa.record_batch([pa.array(columns[f.name], f.type) for f in VIDEO_SCHEMA], schema=VIDEO_SCHEMA)


def picture(size: int, rng: np.random.Generator) -> bytes:
    coarse = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    noisy = np.clip(image + rng.integers(-6, 7, image.shape), 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def bare_session(network: Path, extractor: Extractor, device: str) -> onnxruntime.InferenceSession:
    for note in extractor.notes:
        print(note, file=sys.stderr)
    cuda = device == "cuda" and not extractor.notes
    providers = [*(["CUDAExecutionProvider"] if cuda else []), "CPUExecutionProvider"]
    return onnxruntime.InferenceSession(str(network), session_options(None, spinning=True), providers=providers)


def take_turns(
    extractor: Extractor,
    bare: onnxruntime.InferenceSession,
    stores: list[Path],
    options: argparse.Namespace,
    out: Path,
) -> tuple[list[float], list[float]]:
    """Seconds of each turn: of the features of a store, and of the session on as many frames in the same batches."""
    frames = options.frames // options.turns
    rng = np.random.default_rng(0)
    batch = rng.normal(size=(options.batch_size, 3, options.size, options.size)).astype(np.float32)
    bare.run(None, {"image": batch})
    extractor.features(np.zeros((options.batch_size, 3, options.size, options.size), np.uint8))
    ours, alone = [], []
    for turn, path in enumerate(stores):
        for which in ("ours", "alone") if turn % 2 else ("alone", "ours"):
            start = time.perf_counter()
            if which == "ours":
                write_video_features(open_faces(path), extractor, out / path.name)
                ours.append(time.perf_counter() - start)
            else:
                for done in range(0, frames, options.batch_size):
                    bare.run(None, {"image": batch[: min(options.batch_size, frames - done)]})
                alone.append(time.perf_counter() - start)
    return ours, alone


def report(ours: list[float], alone: list[float], part: int, options: argparse.Namespace, provider: str) -> None:
    total = part * options.turns
    print(f"{options.network} at {options.size} pixels, {total} frames, batches of {options.batch_size}, {provider}")
    print(f"bare session:  {total / sum(alone):7.2f} frames/s")
    print(f"abaw features: {total / sum(ours):7.2f} frames/s")
    low, middle, high = np.percentile([b / a for a, b in zip(ours, alone, strict=True)], [25, 50, 75])
    print(f"speed, features / bare: total {sum(alone) / sum(ours):.3f}; by turn {middle:.3f} ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
