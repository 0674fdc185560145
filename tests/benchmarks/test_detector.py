"""The comparison of a detector with a reference: what is found, false and left out, on hand-made faces."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from abaw.video.detecting.detections import Detections
from abaw.video.detecting.registry import open_detector
from abaw.video.detecting.scaled import ScaledDetector
from tests.video.clips import portraits, write_clip

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))  # scripts, not a package

import detector

EYES = 40.0


def faces(*left: float, side: float = 100.0, shift: float = 0.0) -> Detections:
    """Square faces from x = left on, their landmarks `shift` to the right of where they belong."""
    box = np.array([[x, 0, x + side, side] for x in left], np.float32).reshape(-1, 4)
    points = np.array([[30, 40], [30 + EYES, 40], [50, 60], [35, 80], [65, 80]], np.float32)
    landmarks: NDArray[np.float32] = box[:, None, :2] + points + np.float32([shift, 0])
    return Detections(box, np.full(len(box), 0.9, np.float32), landmarks)


def test_found_false_and_landmarks() -> None:
    tally = detector.compare(faces(2, 400, shift=4), faces(0, 200), least=48)
    assert (tally.wanted, tally.found, tally.finds, tally.false) == (2, 1, 2, 1)
    assert tally.apart == [pytest.approx((2 + 4) / EYES)]


def test_small_faces_are_neither_missed_nor_false() -> None:
    small = faces(0, 100, side=40)
    nobody = faces()
    assert detector.compare(nobody, small, least=48).wanted == 0
    assert detector.compare(small, nobody, least=48).false == 0
    both = detector.compare(small, small, least=48)
    assert (both.wanted, both.finds) == (0, 0)


def test_every_so_many_frames_of_a_clip(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", portraits(11, side=96))
    assert len(list(detector.pictures(clip, 5))) == 3


def test_what_is_said_of_the_mirror_image_is_brought_back() -> None:
    class Blob:
        """Sees a white square, landmarks as in `faces`."""

        identity = "blob"

        def detect(self, image: NDArray[np.uint8]) -> Detections:
            return faces(float(np.flatnonzero(image[0, :, 0])[0]))

    picture = np.zeros((100, 300, 3), np.uint8)
    picture[:, 150:250] = 255
    back = detector.of_mirrored(Blob(), picture)  # type: ignore[arg-type]
    np.testing.assert_allclose(back.box_xyxy, [[150, 0, 250, 100]])
    assert back.landmarks_xy is not None
    np.testing.assert_allclose(back.landmarks_xy, faces(150).landmarks_xy)


@pytest.mark.slow
def test_the_detector_that_ships_on_real_clips(shared_data: Path) -> None:
    """Limits far below the figures of docs/detector.md: it fails when the weights or the code around them break."""
    ours = open_detector("builtin")
    reference = ScaledDetector(detector.AtFullSize(shared_data / "models" / "yunet_n_dynamic.onnx", None, None))
    total = detector.Tally()
    for clip in sorted((shared_data / "videos").glob("*.mp4")):
        for picture in detector.pictures(clip, 90):
            total.add(detector.compare(ours.detect(picture), reference.detect(picture), least=48))
    assert total.wanted > 40
    assert total.found >= 0.92 * total.wanted
    assert total.false <= 0.06 * total.finds
    assert np.mean(total.apart) < 0.11
