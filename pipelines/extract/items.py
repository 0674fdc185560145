"""The items of `extract`: videos, each with its people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from abaw.core.progress import Progress
from abaw.protocol.layout import Subject
from abaw.stores.crop import Crop
from abaw.video.detecting.detector import Detector
from abaw.video.detecting.registry import open_detector
from abaw.video.extract import ExtractedVideo, extract_video
from abaw.video.options import ExtractOptions
from abaw.video.people.corrections import Corrections


@dataclass(frozen=True, slots=True)
class VideoItem:
    """One video and its people, None for one store per track; corrections: the tracks that a person chose."""

    path: Path
    subjects: list[Subject] | None
    corrections: Corrections = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExtractVideos:
    """What workers apply to videos, each with its own detector. detector: resolved name."""

    out: Path
    detector: str
    options: ExtractOptions
    crops: tuple[Crop, ...]

    def set_up(self, threads: int | None) -> Callable[[VideoItem, Progress], ExtractedVideo]:
        return partial(self._extract, open_detector(self.detector, self.options.min_score, threads))

    def _extract(self, detector: Detector, item: VideoItem, progress: Progress) -> ExtractedVideo:
        return extract_video(
            item.path, self.out, detector, item.subjects, self.options, item.corrections, self.crops, progress
        )
