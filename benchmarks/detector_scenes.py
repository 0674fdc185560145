"""A face detector on natural pictures: false faces, and faces found by size.

    python benchmarks/detector_scenes.py --folder SCENES --teacher YUNET.onnx --judge SCRFD.onnx [--detector builtin]
        [--part set_aside|scored|training|all] [--share .1] [--scores .5 .55 .6]

The pictures are those of one part of the folder, as `abaw train-detector` divides it: it never uses `set_aside`, and
`scored` only to score checkpoints, so a threshold may be chosen on it. A face is one on which the teacher at full size
and the judge agree (IoU of at least .5); its size is that of the teacher's box (geometric mean of the sides) on the
detector's canvas. A picture in which neither finds a face is free of faces. The detector runs again for each score.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from detector import AtFullSize
from numpy.typing import NDArray

from abaw.detector.natural import SCORED, SET_ASIDE, TRAINING, parts_of
from abaw.importing.still import images_below, key_of
from abaw.video.detecting.boxes import areas, same_boxes
from abaw.video.detecting.detector import LONG_SIDE
from abaw.video.detecting.registry import open_detector
from abaw.video.detecting.scaled import ScaledDetector
from abaw.video.reading.registry import STILL, open_video

PARTS = {"set_aside": SET_ASIDE, "scored": SCORED, "training": TRAINING, "all": None}
FOUND_IOU = 0.5
SIZES = (12.0, 20.0, 32.0, float("inf"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True, help="a YuNet .onnx")
    parser.add_argument("--judge", required=True, help="a SCRFD .onnx")
    parser.add_argument("--detector", nargs="+", default=["builtin"])
    parser.add_argument("--part", choices=list(PARTS), default="set_aside")
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--scores", type=float, nargs="+", default=[0.55])
    options = parser.parse_args()
    pictures, faces, empty = known(options.folder, options.part, options.share, options.teacher, options.judge)
    sizes = [size for boxes, picture in zip(faces, pictures, strict=True) for size in sizes_on_canvas(boxes, picture)]
    counts = np.histogram(sizes, SIZES)[0]
    print(f"{len(pictures)} pictures ({options.part}), {int(empty.sum())} without a face; faces by size on the canvas:")
    print(f"{'':<44}{'12 to 20 px':>14}{'20 to 32 px':>14}{'from 32 px':>14}{'false pictures':>16}")
    print(f"{'faces':<44}" + "".join(f"{count:>14}" for count in counts) + f"{'':>16}")
    for name in options.detector:
        for score in options.scores:
            detector = open_detector(name, min_score=score, threads=1)
            false, hits = 0, []
            for picture, boxes, free in zip(pictures, faces, empty, strict=True):
                found = detector.detect(picture)
                false += bool(free and len(found))
                rows = [face for _, face in same_boxes(found.box_xyxy, boxes, FOUND_IOU)]
                hits += sizes_on_canvas(boxes[rows], picture)
            shares = np.histogram(hits, SIZES)[0] / np.maximum(counts, 1)
            columns = "".join(f"{100 * share:>13.1f}%" for share in shares)
            print(
                f"{f'{name[-36:]} {score:.2f}':<44}{columns}{false:>8} {100 * false / max(1, empty.sum()):>6.2f}%",
                flush=True,
            )


def known(
    folder: Path, part: str, share: float, teacher: Path, judge: str
) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.float32]], NDArray[np.bool_]]:
    """The pictures, the faces (F, 4) on which teacher and judge agree, and which pictures are free of faces."""
    files = sorted(images_below(folder))
    parts = parts_of([key_of(file, folder) for file in files], share)
    chosen = [file for file, own in zip(files, parts, strict=True) if PARTS[part] in (None, own)]
    first, second = ScaledDetector(AtFullSize(teacher, None, 1)), open_detector(judge, threads=1)
    pictures, faces, empty = [], [], []
    for file in chosen:
        with open_video(file, STILL) as video:
            picture = next(frame.image for frame in video)
        assert picture is not None
        one, other = first.detect(picture), second.detect(picture)
        pairs = same_boxes(one.box_xyxy, other.box_xyxy, FOUND_IOU)
        pictures.append(picture)
        faces.append(one.box_xyxy[[row for row, _ in pairs]])
        empty.append(not len(one) and not len(other))
    return pictures, faces, np.array(empty)


def sizes_on_canvas(boxes: NDArray[np.float32], picture: NDArray[np.uint8]) -> list[float]:
    scale = min(1.0, LONG_SIDE / max(picture.shape[:2]))
    sizes: list[float] = (scale * np.sqrt(areas(boxes))).tolist()
    return sizes


if __name__ == "__main__":
    main()
