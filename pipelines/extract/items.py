"""The items of `extract`: videos, each with its people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from abaw.core.ledger import Made
from abaw.core.progress import Progress
from abaw.protocol.layout import Subject
from abaw.stores.arrow import SUFFIX
from abaw.stores.crop import Crop, crop_folders
from abaw.stores.folders import StoreFolders
from abaw.video.detecting.detector import Detector
from abaw.video.detecting.registry import open_detector
from abaw.video.extract import ExtractedVideo, extract_video
from abaw.video.options import ExtractOptions
from abaw.video.people.corrections import Corrections


@dataclass(frozen=True, slots=True)
class VideoItem:
    """One video and its people, None for a store per person.

    corrections: the tracks that a person chose; frames: how many the video is expected to have, if that is known.
    """

    path: Path
    subjects: list[Subject] | None
    corrections: Corrections = field(default_factory=dict)
    frames: int | None = None

    @property
    def files(self) -> list[str]:
        """Names of its stores, the name of the video's store for those of its people."""
        names = [self.path.stem] if self.subjects is None else [subject.name for subject in self.subjects]
        return [f"{name}{SUFFIX}" for name in names]


@dataclass(frozen=True, slots=True)
class ExtractVideos:
    """What workers apply to videos, each with its own detector. detector: resolved name."""

    out: Path
    detector: str
    options: ExtractOptions
    crops: tuple[Crop, ...]
    folders: StoreFolders

    def set_up(self, threads: int | None) -> Callable[[VideoItem, Progress], ExtractedVideo]:
        return partial(self._extract, open_detector(self.detector, self.options.min_score, threads))

    def files(self, item: VideoItem) -> Made | None:
        """What is made of a video, None if that depends on the tracks that are found."""
        if item.subjects is None:
            return None
        sub_folder = self.folders.sub_folder(item.path.stem, item.files)
        places = [folder / sub_folder for folder in crop_folders(self.out, self.crops).values()]
        how = [[subject.name, subject.side] for subject in item.subjects]
        return Made([item.path], [place / file for place in places for file in item.files], how)

    def read_and_written(self, item: VideoItem) -> Made:
        """The files of a video as far as they are known before it is read."""
        return self.files(item) or Made([item.path], [])

    def _extract(self, detector: Detector, item: VideoItem, progress: Progress) -> ExtractedVideo:
        sub_folder = self.folders.sub_folder(item.path.stem, item.files)
        video = extract_video(
            item.path,
            self.out,
            detector,
            item.subjects,
            self.options,
            item.corrections,
            self.crops,
            progress,
            sub_folder,
        )
        if item.frames in (None, video.frames) or video.skipped:
            return video
        text = f"has {video.frames} frames, the list says {item.frames}"
        return replace(video, warnings=(*video.warnings, text))
