"""How fast and how steady `abaw live` is: pictures per second, latency and memory.

    python benchmarks/live.py --video CLIP.mp4 [--seconds 600] [--size 640x360]

The clip is played in real time, forwards and backwards in turn, at 30 pictures per second; pictures are dropped where
the analysis is slower. Prints pictures per second, the median and the 95th percentile of the latency, how many cores
were busy, and the memory at the start, middle and end.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from abaw.inference.video import load_models
from abaw.live.analyser import Analyser
from abaw.live.latency import Latencies
from abaw.live.newest import Newest
from abaw.live.sources import Picture
from abaw.video.detecting.registry import open_detector
from abaw.video.reading.registry import open_video

RATE = 30.0


@dataclass(frozen=True)
class Played:
    """A source: the images in real time, forwards and backwards in turn, for so many seconds."""

    images: list[NDArray[np.uint8]]
    seconds: float
    name: str = "the clip"
    returns: bool = False

    def pictures(self) -> Iterator[Picture]:
        start = time.monotonic()
        for index, image in enumerate(cycle([*self.images, *self.images[::-1]])):
            due = start + index / RATE
            if due - start > self.seconds:
                return
            time.sleep(max(0.0, due - time.monotonic()))
            yield Picture(image, due)


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--size", default="640x360")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    with open_video(options.video) as video:
        pictures = [
            np.asarray(cv2.resize(frame.image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
            for frame, _ in zip(video, range(150), strict=False)
            if frame.image is not None
        ]
    analyser = Analyser(open_detector("builtin"), load_models(Path("builtin"), accelerator="cpu"), 0.2)
    analyser.push(pictures[0], 0.0)
    newest, latencies = Newest(Played(pictures, options.seconds)), Latencies()
    memory, start, used, faces = [resident_mb()], time.monotonic(), time.process_time(), 0
    try:
        while True:
            picture = newest.take(10)
            if picture is not None:
                faces += len(analyser.push(picture.image, picture.due).people)
                latencies.add(time.monotonic() - picture.due)
                if len(memory) == 1 and time.monotonic() - start > options.seconds / 2:
                    memory.append(resident_mb())
    except EOFError:
        pass
    seconds = time.monotonic() - start
    rate, busy = len(latencies) / seconds, (time.process_time() - used) / seconds
    p50, p95 = (latencies.percentile_ms(share) for share in (0.5, 0.95))
    print(
        f"{width}x{height}, {options.seconds:.0f} s: {rate:.1f} pictures/s ({newest.dropped} dropped, {faces} faces), "
        f"latency {p50} ms, 95 % within {p95} ms; {busy:.2f} cores; "
        f"memory {' '.join(f'{mb:.0f}' for mb in [*memory, resident_mb()])} MB"
    )


if __name__ == "__main__":
    main()
