"""Speed of `abaw extract` against the usual loop, and its agreement with detection on every whole picture.

    python benchmarks/extract.py --clips CLIP... --detector WEIGHTS.onnx --usual SCRFD.onnx [--rounds 1]

The usual loop: OpenCV's VideoCapture, insightface's SCRFD at 640 on every frame, its norm_crop, one JPEG file per face.
Both run on the same clips, alternately, each round in a separate process. Time counts from the first frame to the last
store or JPEG, without the start of Python and the loading of weights. Then ours runs once more with `full_every` 1, and
the two stores of each clip are compared: share of frames whose boxes agree (IoU of .7), mean distance of the landmarks
as a share of the face's width. The shares of time are of the sum of the seconds of each stage; the stages overlap.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from abaw.protocol.layout import parse_subject
from abaw.stores.faces import open_faces
from abaw.video import extract
from abaw.video.detecting.boxes import iou_matrix
from abaw.video.detecting.detections import Detections
from abaw.video.detecting.detector import Detector
from abaw.video.detecting.registry import open_detector
from abaw.video.reading import frames as reading

STAGES = ("decode", "detect", "crop", "encode")
USUAL_SIZE = (640, 640)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--clips", type=Path, nargs="+", required=True)
    parser.add_argument("--detector", default="builtin", help="ours: builtin, insightface:PACK or an .onnx file")
    parser.add_argument("--usual", type=Path, help="SCRFD .onnx of the usual loop (default: skip that loop)")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--full_every", type=int, default=extract.ExtractOptions().full_every)
    parser.add_argument("--no_compare", action="store_true", help="skip the comparison with `full_every` 1")
    parser.add_argument("--part", choices=["usual", "ours"], help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        run = usual if options.part == "usual" else ours
        print(json.dumps({**run(options), "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(options, Path(folder))


def measure(options: argparse.Namespace, folder: Path) -> None:
    results: dict[str, list[dict[str, Any]]] = {"usual": [], "ours": []}
    for index in range(options.rounds):
        if options.usual:
            results["usual"].append(process(options, "usual", folder / f"usual{index}"))
        results["ours"].append(process(options, "ours", folder / f"ours{index}"))
    for name, runs in results.items():
        if runs:
            best = min(runs, key=lambda found: float(found["seconds"]))
            rates = ", ".join(f"{found['frames'] / found['seconds']:.1f}" for found in runs)
            print(
                f"{name}: {rates} frames/s; {best['frames']} frames, {best['faces']} with a face "
                f"({100 * best['faces'] / best['frames']:.2f} %), peak {max(found['peak_mb'] for found in runs):.0f} MB"
            )
    if options.usual:
        pairs = zip(results["usual"], results["ours"], strict=True)
        ratios = [first["seconds"] / second["seconds"] for first, second in pairs]
        print("ratio: " + ", ".join(f"{ratio:.1f}" for ratio in ratios))
    stages = results["ours"][0]["stages"]
    total = sum(stages.values())
    print("ours, share of time: " + ", ".join(f"{name} {100 * stages[name] / total:.0f} %" for name in STAGES))
    if not options.no_compare:
        options.full_every = 1
        process(options, "ours", folder / "whole")
        for clip in options.clips:
            print(f"{clip.stem}: {compare(folder / 'ours0', folder / 'whole', clip.stem)}")


def process(options: argparse.Namespace, part: str, out: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--part", part, "--out", str(out), "--detector", options.detector]
    command += ["--full_every", str(options.full_every), "--clips", *map(str, options.clips)]
    if options.usual:
        command += ["--usual", str(options.usual)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def usual(options: argparse.Namespace) -> dict[str, Any]:
    import cv2
    from insightface.model_zoo import get_model
    from insightface.utils.face_align import norm_crop

    model = get_model(str(options.usual), providers=["CPUExecutionProvider"])
    model.prepare(-1, input_size=USUAL_SIZE)
    frames = faces = 0
    start = time.perf_counter()
    for clip in options.clips:
        folder = options.out / clip.stem
        folder.mkdir(parents=True)
        capture = cv2.VideoCapture(str(clip))
        index = 0
        while (read := capture.read())[0]:
            index += 1
            boxes, points = model.detect(read[1], input_size=USUAL_SIZE)
            for row in range(len(boxes)):
                cv2.imwrite(str(folder / f"{index:05d}_{row}.jpg"), norm_crop(read[1], points[row], 112))
            faces += len(boxes) > 0
        if not index:
            sys.exit(f"{clip}: OpenCV reads no frame")
        frames += index
    return {"frames": frames, "faces": faces, "seconds": time.perf_counter() - start}


class Timed:
    """A detector that adds up its seconds."""

    def __init__(self, detector: Detector, seconds: dict[str, float]) -> None:
        self._detector = detector
        self.identity = detector.identity
        self.regions_at_once = detector.regions_at_once
        self.detect: Callable[[NDArray[np.uint8]], Detections] = timed(detector.detect, "detect", seconds)
        self.detect_regions: Callable[..., list[Detections]] = timed(detector.detect_regions, "detect", seconds)


def timed(function: Callable[..., Any], stage: str, seconds: dict[str, float]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            seconds[stage] += time.perf_counter() - start

    return call


def ours(options: argparse.Namespace) -> dict[str, Any]:
    seconds = dict.fromkeys(STAGES, 0.0)
    ahead = reading.ahead

    def timed_ahead(source: Iterable[Any], *arguments: Any) -> Iterator[Any]:
        following = timed(iter(source).__next__, "decode", seconds)

        def items() -> Iterator[Any]:
            while True:
                try:
                    yield following()
                except StopIteration:
                    return

        return ahead(items(), *arguments)

    detector = Timed(open_detector(options.detector), seconds)
    settings = extract.ExtractOptions(full_every=options.full_every)
    with (
        mock.patch.object(reading, "ahead", timed_ahead),
        mock.patch.object(extract, "cut_crop", timed(extract.cut_crop, "crop", seconds)),
        mock.patch.object(extract, "encode_crop", timed(extract.encode_crop, "encode", seconds)),
    ):
        start = time.perf_counter()
        done = [
            extract.extract_video(clip, options.out, detector, [parse_subject(clip.stem)], settings)
            for clip in options.clips
        ]
        taken = time.perf_counter() - start
    return {
        "frames": sum(video.frames for video in done),
        "faces": sum(video.faces for video in done),
        "seconds": taken,
        "stages": seconds,
    }


def compare(first: Path, second: Path, name: str) -> str:
    """Agreement of the chosen faces of one store with those of another."""
    tables = [open_faces(folder / f"{name}.arrow").store.table.to_pydict() for folder in (first, second)]
    boxes = [table["box_xyxy"] for table in tables]
    wanted = [row for row, box in enumerate(boxes[1]) if box is not None]
    there = sum(box is not None for box in boxes[0])
    line = f"{len(boxes[0])} frames, a face in {100 * there / len(boxes[0]):.2f} %"
    both = [row for row in wanted if boxes[0][row] is not None]
    if not both:
        return line
    ious = np.array([iou_matrix(*(np.array(box[row])[None] for box in boxes))[0, 0] for row in both])
    away = distances(
        [[table["landmarks_xy"][row] for row in both] for table in tables], [boxes[1][row] for row in both]
    )
    same = "none" if away is None else f"{100 * away:.2f} % of the face's width apart"
    return f"{line}; IoU >= .7 in {100 * (ious >= 0.7).sum() / len(wanted):.2f} %; landmarks {same}"


def distances(landmarks: Sequence[Sequence[Any]], boxes: Sequence[Any]) -> float | None:
    if any(points is None for side in landmarks for points in side):
        return None
    first, second = (np.array(side, np.float64).reshape(-1, 5, 2) for side in landmarks)
    width = np.array([box[2] - box[0] for box in boxes])
    return float((np.linalg.norm(first - second, axis=2).mean(axis=1) / width).mean())


if __name__ == "__main__":
    main()
