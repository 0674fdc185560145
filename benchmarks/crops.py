"""Cost of more kinds of crop: `abaw extract` with one kind against several, alternately in one run.

    python benchmarks/crops.py --clips CLIP... --detector WEIGHTS.onnx [--crop aligned:112 box:224:0.3] [--rounds 3]

Prints the ratio of the processor time of all threads and that of the elapsed time: medians over the rounds, the first
kind alone being 1.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from abaw.protocol.layout import parse_subject
from abaw.stores.crop import Crop, parse_crops
from abaw.video.detecting.registry import open_detector
from abaw.video.extract import extract_video
from abaw.video.options import ExtractOptions


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--clips", type=Path, nargs="+", required=True)
    parser.add_argument("--detector", default="builtin")
    parser.add_argument("--crop", nargs="+", default=["aligned:112", "box:224:0.3"])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    several = parse_crops(options.crop)
    ways = {"one kind": several[:1], f"{len(several)} kinds": several}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, crops in ways.items():
            found[name].append(measured(options.clips, options.detector, crops))
    medians = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in found.items()}
    for name, (processor, elapsed) in medians.items():
        print(f"{name}: {processor:.2f} s of processor time, {elapsed:.2f} s elapsed")
    (one_processor, one_elapsed), (processor, elapsed) = medians.values()
    print(f"ratio: {processor / one_processor:.2f} processor time, {elapsed / one_elapsed:.2f} elapsed")


def measured(clips: Sequence[Path], detector: str, crops: Sequence[Crop]) -> tuple[float, float]:
    """Seconds of processor time and elapsed seconds."""
    opened = open_detector(detector)
    with tempfile.TemporaryDirectory() as out:
        processor, elapsed = time.process_time(), time.perf_counter()
        for clip in clips:
            extract_video(clip, Path(out), opened, [parse_subject(clip.stem)], ExtractOptions(), crops=crops)
        return time.process_time() - processor, time.perf_counter() - elapsed


if __name__ == "__main__":
    main()
