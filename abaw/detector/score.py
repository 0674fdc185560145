"""How well a face detector does on scenes of people that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from abaw.detector.material import Material
from abaw.detector.natural_scenes import whole_scene
from abaw.detector.scenes import Scene, make_scene
from abaw.detector.settings import SceneSettings
from abaw.video.detecting.boxes import same_boxes
from abaw.video.detecting.builtin import decode

_FOUND_IOU = 0.5
_MIN_SCORE = 0.5


def held_out_scorer(
    material: Material, settings: SceneSettings, num_scenes: int, rng: np.random.Generator
) -> Callable[[nn.Module], Mapping[str, float]]:
    """`score_detector` on scenes of the held-out people, made once, whose sides take turns, and on natural pictures."""
    scenes = [
        make_scene(material.held_out, material.backgrounds, settings, settings.sides[index % len(settings.sides)], rng)
        for index in range(num_scenes)
    ]
    natural = [whole_scene(material.scored, index, settings.smallest) for index in range(len(material.scored))]
    return lambda model: score_detector(model, [*scenes, *natural])


def score_detector(model: nn.Module, scenes: Sequence[Scene]) -> Mapping[str, float]:
    """recall, precision and f1 (at an IoU of .5 and a score of .5); landmarks, the mean landmark error of the found
    faces; false_scenes, the share of the scenes without a face in which one is found; and quality, f1 minus landmarks
    and false_scenes, by which checkpoints are selected.

    The model must be in eval mode. A face that does not count is no error, whether it is found or not.
    """
    wanted = true_positives = false_positives = empty = false_scenes = 0
    apart: list[float] = []
    device = next(model.parameters()).device
    for scene in scenes:
        picture = torch.from_numpy(scene.picture).to(device).float() / 255
        found = decode([grid[0].float().cpu().numpy() for grid in model(picture[None, None])], _MIN_SCORE)
        assert found.landmarks_xy is not None
        pairs = same_boxes(found.box_xyxy, scene.box_xyxy, _FOUND_IOU)
        wanted += int(scene.counts.sum())
        false_positives += len(found) - len(pairs)
        if not len(scene.box_xyxy):
            empty += 1
            false_scenes += len(found) > 0
        for row, face in pairs:
            if scene.counts[face]:
                true_positives += 1
                apart.append(landmark_error(found.landmarks_xy[row], scene.landmarks_xy[face]))
    recall = true_positives / max(1, wanted)
    precision = true_positives / max(1, true_positives + false_positives)
    f1 = 2 * recall * precision / max(1e-9, recall + precision)
    landmarks = float(np.mean(apart)) if apart else 1.0
    false_share = false_scenes / max(1, empty)
    return {
        "recall": recall,
        "precision": precision,
        "f1": f1,
        "landmarks": landmarks,
        "false_scenes": false_share,
        "quality": f1 - landmarks - false_share,
    }


def landmark_error(found_xy: NDArray[np.float32], wanted_xy: NDArray[np.float32]) -> float:
    """Mean distance of the five landmarks (5, 2), as a multiple of the distance between the true eyes."""
    eyes = float(np.linalg.norm(wanted_xy[0] - wanted_xy[1]))
    return float(np.linalg.norm(found_xy - wanted_xy, axis=1).mean()) / max(eyes, 1e-6)
