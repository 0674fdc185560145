"""How the face detector learns: batches of new scenes, and one step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from abaw.core.data_parallel import Part
from abaw.core.seed import numpy_generator
from abaw.detector.dense_teacher import DenseTeacher
from abaw.detector.loss import Faces, detector_losses, flat, teacher_loss
from abaw.detector.material import Material
from abaw.detector.natural_scenes import natural_scene
from abaw.detector.network import FaceDetector
from abaw.detector.scenes import Scene, make_scene
from abaw.detector.settings import LossWeights, SceneSettings
from abaw.learning.method import Method, StepResult


class SceneBatch(NamedTuple):
    """B scenes. pictures: (B, 1, S, S) uint8, later float 0..1; the rest as in Faces; ids: (B,) names for messages.

    teacher: (B, L) the teacher's scores at the points of all grids, or (B, 0) without them.
    """

    pictures: Tensor
    box_xyxy: Tensor
    landmarks_xy: Tensor
    state: Tensor
    teacher: Tensor
    ids: Sequence[str]


class DetectorMethod(Method[SceneBatch, SceneBatch]):
    """Supervised learning of scores, boxes and landmarks, each with its own loss."""

    def __init__(self, model: FaceDetector, weights: LossWeights) -> None:
        super().__init__()
        self.model: FaceDetector = model
        self.weights = weights

    def views(self, batch: SceneBatch, generator: torch.Generator) -> SceneBatch:
        """Scenes are augmented when they are made; nothing is drawn here."""
        return batch._replace(pictures=batch.pictures.float() / 255)

    def step(self, batch: SceneBatch) -> StepResult:
        pictures = batch.pictures.to(memory_format=torch.channels_last)
        grids = self.model(pictures)
        losses = detector_losses(grids, Faces(batch.box_xyxy, batch.landmarks_xy, batch.state))
        loss = losses.score + self.weights.box * losses.box + self.weights.landmarks * losses.landmarks
        logged = {f"loss/{name}": value for name, value in losses._asdict().items()}
        if self.weights.teacher:
            logged["loss/teacher"] = teacher_loss(flat(grids)[..., 0], batch.teacher)
            loss = loss + self.weights.teacher * logged["loss/teacher"]
        return StepResult(loss, logged)


_USUAL_SIDE = 256


class SceneBatches:
    """(step, part) -> a batch of new scenes, others for each part; equal arguments give equal scenes.

    batch_size: number of scenes of 256 pixels; for another size, the number with about as many pixels in total;
    teacher: gives its scores on each scene, None for scenes without them.
    """

    def __init__(
        self,
        material: Material,
        settings: SceneSettings,
        batch_size: int,
        seed: int,
        teacher: DenseTeacher | None = None,
    ) -> None:
        self._material = material
        self._settings = settings
        self._batch_size = batch_size
        self._seed = seed
        self._teacher = teacher

    def __call__(self, step: int, part: Part) -> SceneBatch:
        rng = numpy_generator(self._seed, "scenes", step, part.index)
        side = int(rng.choice(self._settings.sides))
        count = max(1, round(self._batch_size * (_USUAL_SIDE / side) ** 2))
        scenes = [self._scene(side, rng) for _ in range(count)]
        batch = collate(scenes, [f"scene {step}.{part.index}.{index}" for index in range(len(scenes))])
        if self._teacher is None:
            return batch
        return batch._replace(teacher=torch.from_numpy(self._teacher.scores(batch.pictures[:, 0].numpy())))

    def _scene(self, side: int, rng: np.random.Generator) -> Scene:
        material = self._material
        if len(material.natural) and rng.random() < self._settings.natural:
            return natural_scene(material.natural, material.hard, self._settings, side, rng)
        return make_scene(material.training, material.backgrounds, self._settings, side, rng)


def collate(scenes: Sequence[Scene], ids: Sequence[str]) -> SceneBatch:
    """Scenes of one size as a batch, padded to the largest number of faces."""
    max_faces = max(1, *(len(scene.box_xyxy) for scene in scenes))
    boxes = np.zeros((len(scenes), max_faces, 4), np.float32)
    landmarks = np.zeros((len(scenes), max_faces, 5, 2), np.float32)
    state = np.zeros((len(scenes), max_faces), np.int64)
    for index, scene in enumerate(scenes):
        num = len(scene.box_xyxy)
        boxes[index, :num], landmarks[index, :num] = scene.box_xyxy, scene.landmarks_xy
        state[index, :num] = np.where(scene.counts, 1, -1)
    pictures = torch.from_numpy(np.stack([scene.picture for scene in scenes])[:, None])
    return SceneBatch(
        pictures,
        torch.from_numpy(boxes),
        torch.from_numpy(landmarks),
        torch.from_numpy(state),
        torch.zeros(len(scenes), 0),
        ids,
    )
