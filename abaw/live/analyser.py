"""One picture after the other -> the people in it and their expressions, from this picture and earlier ones alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import ConfigError
from abaw.inference.features import features_of_crops
from abaw.inference.members import TemporalMember
from abaw.inference.video import VideoModels
from abaw.live.temporal import LivePredictor
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.sequence.causal import Exponential
from abaw.video.align import cut_crop
from abaw.video.detecting.detector import Detector
from abaw.video.options import ExtractOptions
from abaw.video.people.follow_faces import Followed, Follower
from abaw.video.people.tracker import Tracker
from abaw.video.reading.frames import VideoFrame


@dataclass(frozen=True, slots=True, eq=False)
class LivePerson:
    """Someone in a picture. number: of the track, from 1; box_xyxy: in pixels; probs: (C,), filtered."""

    number: int
    box_xyxy: NDArray[np.float32]
    score: float
    probs: NDArray[np.float32]

    @property
    def label(self) -> str:
        return EXPRESSION_CLASSES[int(self.probs.argmax())]


@dataclass(frozen=True, slots=True)
class LiveFrame:
    """The result of one picture. index: from 1, of the pictures that were analysed; time_s: since the first."""

    index: int
    time_s: float
    people: tuple[LivePerson, ...]

    def to_plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "frame": self.index,
            "time_s": round(self.time_s, 4),
            "people": [
                {
                    "person": one.number,
                    "box_xyxy": [round(float(side), 1) for side in one.box_xyxy],
                    "score": round(one.score, 3),
                    "label": one.label,
                    "probabilities": {
                        name: round(float(value), 4) for name, value in zip(EXPRESSION_CLASSES, one.probs, strict=True)
                    },
                }
                for one in self.people
            ],
        }


@dataclass(slots=True)
class _Memory:
    """What is remembered of a person: the filter, a temporal model's past frames, when they were last seen."""

    level: Exponential
    temporal: LivePredictor | None
    seen: int = 0


class Analyser:
    """Detection and tracking by regions, the static model, then a causal temporal model or none, then a causal filter.

    tau_s: time constant of the filter in seconds, 0 for none. Memory does not grow. Raises ConfigError for a temporal
    model that needs later frames.
    """

    def __init__(
        self, detector: Detector, models: VideoModels, tau_s: float, options: ExtractOptions | None = None
    ) -> None:
        self._options = options or ExtractOptions()
        self._models, self._tau_s = models, tau_s
        self._follower = Follower(detector, Tracker(self._options.max_gap, self._options.min_iou), self._options)
        self._people: dict[int, _Memory] = {}
        self._index = 0
        self._temporal()

    def push(self, image: NDArray[np.uint8], time_s: float) -> LiveFrame:
        """Analyse the next picture, RGB (H, W, 3). time_s: when it was taken, in seconds."""
        self._index += 1
        followed = self._follower.push(VideoFrame(self._index, time_s, image))
        rows = np.flatnonzero(followed.tracks > 0).tolist()
        self._forget()
        if not rows:
            self._miss()
            return LiveFrame(self._index, time_s, ())
        numbers = [int(followed.tracks[row]) for row in rows]
        features = self._features(image, followed, rows)
        probs = self._probs(features, numbers)
        self._miss()
        people = [
            LivePerson(
                number,
                followed.faces.box_xyxy[row],
                float(followed.faces.score[row]),
                self._people[number].level.push(one, time_s),
            )
            for number, row, one in zip(numbers, rows, probs, strict=True)
        ]
        return LiveFrame(self._index, time_s, tuple(sorted(people, key=lambda person: person.number)))

    def _features(self, image: NDArray[np.uint8], followed: Followed, rows: list[int]) -> NDArray[np.float16]:
        faces = followed.faces
        crops = [
            cut_crop(
                image,
                self._models.crop,
                faces.box_xyxy[row],
                None if faces.landmarks_xy is None else faces.landmarks_xy[row],
            )
            for row in rows
        ]
        return features_of_crops(crops, self._models.extractor)

    def _probs(self, features: NDArray[np.float16], numbers: list[int]) -> NDArray[np.float32]:
        """Unfiltered probabilities (N, C) of the people in the picture."""
        for number in numbers:
            memory = self._people.setdefault(number, _Memory(Exponential(self._tau_s), self._temporal()))
            memory.seen = self._index
        member = self._models.member
        if isinstance(member, TemporalMember):
            predictors = [self._people[number].temporal for number in numbers]
            return np.stack(
                [one.push(feature) for one, feature in zip(predictors, features, strict=True) if one is not None]
            )
        outputs = member.outputs(features, np.ones((len(features), 1), np.bool_))
        assert outputs.probs is not None  # a static model has the expression
        return outputs.probs

    def _temporal(self) -> LivePredictor | None:
        member = self._models.member
        if not isinstance(member, TemporalMember):
            return None
        if len(member.backbones) > 1:
            raise ConfigError(
                f"{member.folder}: needs several sources of features; live video has that of the face alone"
            )
        return LivePredictor(member.run, member.spec)

    def _miss(self) -> None:
        """A temporal model also sees the frames on which a person's face was not found."""
        for memory in self._people.values():
            if memory.seen < self._index and memory.temporal is not None:
                memory.temporal.push(None)

    def _forget(self) -> None:
        gap = self._options.max_gap + 1
        self._people = {number: one for number, one in self._people.items() if self._index - one.seen <= gap}
