"""What smoothing the landmarks along a track changes: their jitter, the flicker of the static model, its accuracy.

    python benchmarks/jitter.py --clips CLIP... [--detector builtin] [--reach 0 1 2 3] [--labels labels.csv]

Per clip and reach (frames before and after; 0: none), for the heaviest track:

- jitter: mean second difference of the landmarks from frame to frame, in pixels
- fast: how far smoothing moves the landmarks on the tenth of the frames that move fastest, % of the face's size
- flicker: mean second difference of the probabilities of the static model (sum over classes / 2)
- changes: how often the most likely class changes, per 100 frames
- right: % of the labelled frames whose most likely class is the label (--labels: columns video, first, last, label)
"""

from __future__ import annotations

import argparse
import csv
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import cv2
import numpy as np
from numpy.typing import NDArray

from abaw.data.decoding import channels_first
from abaw.extractors.extractor import Extractor
from abaw.extractors.registry import open_extractor
from abaw.models.running import softmax
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.stores.crop import ALIGNED_112
from abaw.video.align import cut_crop
from abaw.video.detecting.registry import open_detector
from abaw.video.options import ExtractOptions
from abaw.video.people.follow_faces import Followed, Follower
from abaw.video.people.smooth_landmarks import smooth_landmarks
from abaw.video.people.tracker import Tracker
from abaw.video.reading.registry import open_video

BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, nargs="+", required=True)
    parser.add_argument("--detector", default="builtin")
    parser.add_argument("--reach", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--labels", type=Path)
    arguments = parser.parse_args()
    labels = {} if arguments.labels is None else read_labels(arguments.labels)
    extractor = open_extractor("builtin", "cpu", flip=True, outputs="logits")
    print(
        f"{'clip':<26}{'reach':>6}{'frames':>8}{'jitter px':>11}{'fast %':>8}{'flicker':>9}{'changes':>9}{'right %':>9}"
    )
    for path in arguments.clips:
        frames = follow(path, arguments.detector)
        raw = landmarks_of(frames)
        for reach in arguments.reach:
            smooth = list(smooth_landmarks(frames, reach))
            points = landmarks_of(smooth)
            probs = probabilities(smooth, extractor)
            line = [jitter(points), fast(raw, points, sizes_of(frames)), *flicker(probs)]
            right = accuracy(probs, [frame.frame.index for frame in smooth], labels.get(path.stem, {}))
            columns = "".join(f"{value:>{width}.3f}" for value, width in zip(line, (11, 8, 9, 9), strict=True))
            print(f"{path.stem:<26}{reach:>6}{len(smooth):>8}{columns}{right:>9}", flush=True)


def read_labels(path: Path) -> dict[str, dict[int, str]]:
    """Label by frame, by video."""
    found: dict[str, dict[int, str]] = {}
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            frames = range(int(row["first"]), int(row["last"]) + 1)
            found.setdefault(row["video"], {}).update(dict.fromkeys(frames, row["label"]))
    return found


def follow(path: Path, name: str) -> list[Followed]:
    """The frames that show the heaviest track, with that face alone."""
    options = ExtractOptions()
    follower = Follower(open_detector(name, threads=1), Tracker(), options)
    with open_video(path, options.reader) as video:
        frames = list(follower.follow(video))
    counts = Counter(number for frame in frames for number in frame.tracks.tolist() if number)
    number = counts.most_common(1)[0][0]
    kept = []
    for frame in frames:
        rows = np.flatnonzero(frame.tracks == number)
        if len(rows):
            kept.append(Followed(frame.frame, frame.faces.pick(rows), frame.tracks[rows], frame.whole))
    return kept


def landmarks_of(frames: list[Followed]) -> NDArray[np.float32]:
    """(T, 5, 2)"""
    return np.stack([frame.faces.landmarks_xy[0] for frame in frames if frame.faces.landmarks_xy is not None])


def sizes_of(frames: list[Followed]) -> NDArray[np.float32]:
    boxes = np.stack([frame.faces.box_xyxy[0] for frame in frames])
    return np.asarray(np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1)), np.float32)


def jitter(points: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(np.diff(points, 2, axis=0), axis=2).mean())


def fast(raw: NDArray[np.float32], points: NDArray[np.float32], sizes: NDArray[np.float32]) -> float:
    """Speeds are of the face's middle over four frames, which jitter hardly changes."""
    middle = raw.mean(axis=1)
    speed = np.zeros(len(raw))
    speed[2:-2] = np.linalg.norm(middle[4:] - middle[:-4], axis=1) / sizes[2:-2]
    fastest = np.argsort(-speed)[: max(1, len(raw) // 10)]
    moved = np.linalg.norm(points.mean(axis=1) - middle, axis=1) / sizes
    return 100 * float(moved[fastest].mean())


def probabilities(frames: list[Followed], extractor: Extractor) -> NDArray[np.float32]:
    """(T, C) of the static model."""
    crops = [
        cut_crop(frame.frame.image, ALIGNED_112, frame.faces.box_xyxy[0], frame.faces.landmarks_xy[0])
        for frame in frames
        if frame.frame.image is not None and frame.faces.landmarks_xy is not None
    ]
    side = extractor.side
    small = [cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA) for crop in crops]
    images = channels_first(np.stack(small))
    logits = np.concatenate([extractor.features(images[k : k + BATCH]) for k in range(0, len(images), BATCH)])
    return softmax(logits.astype(np.float32))


def flicker(probs: NDArray[np.float32]) -> tuple[float, float]:
    change = np.abs(np.diff(probs, 2, axis=0)).sum(axis=1).mean() / 2
    best = probs.argmax(axis=1)
    return float(change), 100 * float((best[1:] != best[:-1]).mean())


def accuracy(probs: NDArray[np.float32], frames: list[int], labels: Mapping[int, str]) -> str:
    pairs = [
        (EXPRESSION_CLASSES[int(row.argmax())], labels[k]) for row, k in zip(probs, frames, strict=True) if k in labels
    ]
    return f"{100 * np.mean([a == b for a, b in pairs]):.1f}" if pairs else "-"


if __name__ == "__main__":
    main()
