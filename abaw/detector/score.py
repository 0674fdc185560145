"""How well a face detector does on scenes of people set apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from abaw.detector.scenes import Scene
from abaw.video.detecting.boxes import same_boxes
from abaw.video.detecting.builtin import decode

_FOUND_IOU = 0.5
_MIN_SCORE = 0.5


def score_detector(model: nn.Module, scenes: Sequence[Scene]) -> Mapping[str, float]:
    """recall, precision, f1 (IoU of .5 at a score of .5), landmarks: mean distance of those of the found faces in
    distances between the eyes, and quality: f1 less that distance, the score to choose by.

    The model is in eval mode. A face that does not count is no error, found or not.
    """
    wanted = found_right = false = 0
    apart: list[float] = []
    device = next(model.parameters()).device
    for scene in scenes:
        picture = torch.from_numpy(scene.picture).to(device).float() / 255
        found = decode([grid[0].float().cpu().numpy() for grid in model(picture[None, None])], _MIN_SCORE)
        assert found.landmarks_xy is not None
        pairs = same_boxes(found.box_xyxy, scene.box_xyxy, _FOUND_IOU)
        wanted += int(scene.counts.sum())
        false += len(found) - len(pairs)
        for row, face in pairs:
            if scene.counts[face]:
                found_right += 1
                apart.append(landmark_error(found.landmarks_xy[row], scene.landmarks_xy[face]))
    recall = found_right / max(1, wanted)
    precision = found_right / max(1, found_right + false)
    f1 = 2 * recall * precision / max(1e-9, recall + precision)
    landmarks = float(np.mean(apart)) if apart else 1.0
    return {"recall": recall, "precision": precision, "f1": f1, "landmarks": landmarks, "quality": f1 - landmarks}


def landmark_error(found_xy: NDArray[np.float32], wanted_xy: NDArray[np.float32]) -> float:
    """Mean distance of the five landmarks (5, 2), in distances between the wanted eyes."""
    eyes = float(np.linalg.norm(wanted_xy[0] - wanted_xy[1]))
    return float(np.linalg.norm(found_xy - wanted_xy, axis=1).mean()) / max(eyes, 1e-6)
