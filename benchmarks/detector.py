"""A face detector against a reference at full size: faces found, false detections, landmarks, time.

    python benchmarks/detector.py --reference YUNET.onnx --media CLIP_OR_PICTURE... [--detector builtin] [--every 5]

A YuNet reference runs on each picture at full size, without scaling; any other reference, and the detector, run on it
as `abaw` does. A face of the reference is found when a detection overlaps it (IoU of at least .5); each is in one pair
at most. A detection is false when it overlaps no face of the reference. Faces smaller than --least pixels (geometric
mean of the box's sides) count neither as missed nor as false. Landmark error: mean distance of the five landmarks of
the found faces, as a share of the reference's distance between the eyes. The last column has the same for frontal
faces, against the mean of the reference's answers over three sizes and mirror images of the surroundings of the face,
which is more precise than any of them.

The last row is for comparison: the reference against itself on the mirror image of each picture.

Time: processor time for one 320×320 canvas on one thread, measured alternately.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from abaw.detector.passes import detect_at, face_row
from abaw.detector.score import landmark_error
from abaw.protocol.layout import IMAGE_SUFFIXES
from abaw.video.detecting.boxes import areas, same_boxes
from abaw.video.detecting.detections import Detections
from abaw.video.detecting.detector import Detector, whole_strides
from abaw.video.detecting.mosaic import paint
from abaw.video.detecting.regions import own_face, square_regions
from abaw.video.detecting.registry import network_of, open_detector
from abaw.video.detecting.scaled import ScaledDetector
from abaw.video.detecting.yunet import YuNetNetwork
from abaw.video.reading.registry import STILL, open_video

FOUND_IOU = 0.5
TIMED_SIDE = 320
AROUND = 2.5
"""Side of the surroundings of a face, as a multiple of its size, and the sizes to which they are scaled."""
SIDES = (208, 256, 304)
MAX_ASIDE, MIN_EYES = 0.2, 0.36
"""A face is frontal if its nose is at most this far aside, in distances between the eyes, and its eyes are at least
this far apart, in widths of the face."""
ROUNDS = 100


class AtFullSize(YuNetNetwork):
    """The reference, with a canvas as large as the picture."""

    def canvas_wh(self, image_wh: tuple[int, int]) -> tuple[int, int]:
        return whole_strides(image_wh[0]), whole_strides(image_wh[1])


@dataclass(slots=True)
class Tally:
    pictures: int = 0
    wanted: int = 0
    found: int = 0
    finds: int = 0
    false: int = 0
    apart: list[float] = field(default_factory=list)
    from_mean: list[float] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        for name in ("pictures", "wanted", "found", "finds", "false"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.apart += other.apart
        self.from_mean += other.from_mean

    def line(self, name: str) -> str:
        recall = f"{100 * self.found / self.wanted:.2f}" if self.wanted else "-"
        false = f"{100 * self.false / self.finds:.2f}" if self.finds else "-"
        apart, mean = (f"{100 * np.mean(each):.2f}" if each else "-" for each in (self.apart, self.from_mean))
        return (
            f"{name:<26}{self.pictures:>9}{self.wanted:>8}{self.found:>8}{recall:>8}{self.finds:>9}{self.false:>7}"
            f"{false:>8}{apart:>12}{mean:>12}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--reference", type=Path, required=True, help="a YuNet or SCRFD .onnx")
    parser.add_argument("--media", type=Path, nargs="+", required=True, help="clips and pictures")
    parser.add_argument("--detector", default="builtin", help="builtin, insightface:PACK or an .onnx file")
    parser.add_argument("--every", type=int, default=5, help="use every N frames of a clip")
    parser.add_argument("--least", type=float, default=48.0, help="minimum size of a face that counts, in pixels")
    options = parser.parse_args()
    detector = open_detector(options.detector, threads=1)
    reference = open_detector(str(options.reference), threads=1)
    if network_of(options.reference) is YuNetNetwork:
        reference = ScaledDetector(AtFullSize(options.reference, None, 1))
    print(f"{detector.identity} against {reference.identity}, faces of at least {options.least:.0f} px")
    columns = f"{'pictures':>9}{'faces':>8}{'found':>8}{'%':>8}{'detected':>9}{'false':>7}{'%':>8}"
    print(f"{'':<26}{columns}{'landmarks %':>12}{'frontal %':>12}")
    total, itself = Tally(), Tally()
    for path in options.media:
        tally = Tally()
        for picture in pictures(path, options.every):
            wanted = reference.detect(picture)
            means = [mean_landmarks(reference, picture, wanted, face) for face in range(len(wanted))]
            tally.add(compare(detector.detect(picture), wanted, options.least, means))
            itself.add(compare(of_mirrored(reference, picture), wanted, options.least, means))
        print(tally.line(path.name), flush=True)
        total.add(tally)
    print(total.line("all"))
    print(itself.line("the reference, mirrored"))
    first = next(pictures(options.media[0], 1))
    print(times(np.asarray(cv2.resize(first, (TIMED_SIDE, TIMED_SIDE)), np.uint8), detector, reference))


def pictures(path: Path, every: int) -> Iterator[NDArray[np.uint8]]:
    with open_video(path, STILL if path.suffix.lower() in IMAGE_SUFFIXES else "pyav") as video:
        for frame in video:
            if frame.image is not None and (frame.index - 1) % every == 0:
                yield frame.image


def compare(
    found: Detections, wanted: Detections, least: float, means: Sequence[NDArray[np.float32] | None] = ()
) -> Tally:
    """means: for each wanted face, its landmarks (5, 2) from several passes, None if it is not frontal."""
    assert found.landmarks_xy is not None and wanted.landmarks_xy is not None
    large = np.sqrt(areas(wanted.box_xyxy)) >= least
    pairs = same_boxes(found.box_xyxy, wanted.box_xyxy, FOUND_IOU)
    alone = np.ones(len(found), bool)
    alone[[row for row, _ in pairs]] = False
    false = int((alone & (np.sqrt(areas(found.box_xyxy)) >= least)).sum())
    apart = [landmark_error(found.landmarks_xy[row], wanted.landmarks_xy[face]) for row, face in pairs if large[face]]
    from_mean = [
        landmark_error(found.landmarks_xy[row], mean)
        for row, face in pairs
        if large[face] and means and (mean := means[face]) is not None
    ]
    return Tally(1, int(large.sum()), len(apart), len(apart) + false, false, apart, from_mean)


def mean_landmarks(
    reference: Detector, picture: NDArray[np.uint8], faces: Detections, index: int
) -> NDArray[np.float32] | None:
    """The landmarks (5, 2) of a frontal face over several passes; None for another face, or one that a pass misses."""
    assert faces.landmarks_xy is not None
    points = faces.landmarks_xy[index]
    eyes = points[1] - points[0]
    aside = abs(float((points[2] - points[:2].mean(axis=0)) @ eyes)) / float(eyes @ eyes)
    if aside > MAX_ASIDE or np.linalg.norm(eyes) < MIN_EYES * (faces.box_xyxy[index, 2] - faces.box_xyxy[index, 0]):
        return None
    region = square_regions(faces.box_xyxy[index : index + 1].astype(np.float64), AROUND)
    around = np.zeros((SIDES[-1], SIDES[-1], 3), np.uint8)
    patch = paint(around, (0, 0), SIDES[-1], picture, region[0])
    rgb = np.asarray(cv2.cvtColor(around, cv2.COLOR_BGR2RGB), np.uint8)
    expected = np.full(4, SIDES[-1] / 2) + np.array([-1, -1, 1, 1]) * SIDES[-1] / (2 * AROUND)
    rows = []
    for side in SIDES:
        for mirrored in (False, True):
            found = detect_at(rgb, reference, side, mirrored)
            row = own_face(found, expected)
            if row is None:
                return None
            rows.append(patch.back(face_row(found, row)[4:].reshape(5, 2)))
    return np.asarray(np.mean(rows, axis=0), np.float32)


def of_mirrored(detector: Detector, picture: NDArray[np.uint8]) -> Detections:
    """Detections in the mirror image, mirrored back."""
    return detector.detect(np.ascontiguousarray(picture[:, ::-1])).mirrored(picture.shape[1])


def times(canvas: NDArray[np.uint8], detector: Detector, reference: Detector) -> str:
    """Median milliseconds of each detector on one canvas, measured alternately."""
    if not len(detector.detect(canvas)) or not len(reference.detect(canvas)):
        return "no time measured: a detector finds no face in the first picture and would need a second pass"
    spent: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for each in (detector, reference):
            start = time.process_time()
            each.detect(canvas)
            spent.setdefault(each.identity.split()[0], []).append(1000 * (time.process_time() - start))
    (name, ours), (other, theirs) = ((name, float(np.median(values))) for name, values in spent.items())
    return (
        f"a {TIMED_SIDE}×{TIMED_SIDE} picture, one thread: {name} {ours:.2f} ms, {other} {theirs:.2f} ms, "
        f"ratio {ours / theirs:.2f}"
    )


if __name__ == "__main__":
    main()
