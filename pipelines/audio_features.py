"""`abaw audio-features`: videos + faces -> features of the sound, one row per frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from abaw.audio.options import parse_model
from abaw.core.errors import ConfigError, DataError
from abaw.core.progress import Progress
from abaw.core.text import listed
from abaw.protocol.layout import find_videos, video_of
from abaw.protocol.listed_videos import ListedVideo, listed_and_found
from abaw.stores.folders import StoreFolders
from pipelines.console import say
from pipelines.engine_settings import BatchSettings, engine_for, require_engine
from pipelines.inputs import InputPath
from pipelines.items import run_items

if TYPE_CHECKING:
    from abaw.audio.model import SoundModel


@dataclass(frozen=True, kw_only=True)
class AudioFeaturesConfig(BatchSettings):
    """Compute features of the sound of videos, one row per frame: a source of the temporal model next to faces.

    Args:
        videos: video files, folders that are searched for videos, or lists: a .txt with one path per line, or a .csv
        faces: faces stores of these videos, or folders of them; they say when each frame is shown
        out: folder for the features stores, one per faces store; existing ones of the same input are kept
        model: logmel (energies in mel bands), opensmile:SET (such as eGeMAPSv02, for research only), or
            hf:NAME_OR_FOLDER (wav2vec 2.0, HuBERT, WavLM)
        layer: of a model hf:, from 0 (before the first block); the last one by default
        track: number of the sound track, from 1; by default the one that the video flags as default, or else FFmpeg's
            choice
        accelerator: where models hf: compute; auto uses a GPU if there is one

    Examples:
        abaw audio-features videos/ --faces faces/ --out sound/
        abaw audio-features videos/ --faces faces/ --model hf:facebook/wav2vec2-base --layer 8 --out wav2vec2/
        abaw audio-features clip.mkv --faces faces/ --model opensmile:eGeMAPSv02 --track 2 --out egemaps/
    """

    videos: tuple[InputPath, ...]
    faces: tuple[InputPath, ...]
    out: Path
    model: str = "logmel"
    layer: int | None = None
    track: int | None = None
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        parse_model(self.model, self.layer)
        if self.track is not None and self.track < 1:
            raise ConfigError(f"--track {self.track}: sound tracks are numbered from 1")


@dataclass(frozen=True, slots=True)
class SoundItem:
    """One video and the faces stores of its subjects."""

    video: Path
    faces: Sequence[Path]


def run(config: AudioFeaturesConfig) -> int:
    """Exit status: 1 when a video failed, else 0."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.stores.arrow import find_stores

    accelerator = config.accelerator if config.model.startswith("hf:") else "cpu"
    require_engine(config, accelerator)
    stores = find_stores(config.faces)
    found = _items(listed_and_found(config.videos, find_videos), stores)
    used = {path for item in found for path in item.faces}
    if others := [path.stem for path in stores if path not in used]:
        say(f"{len(others)} faces stores are of none of these videos and are left out: {listed(others)}")
    items = config.of_shard(found, _name)
    function = MakeSoundFeatures(config, StoreFolders(config.out, len(stores)))
    return run_items(items, _name, function, config.out, engine_for(config, len(items), accelerator), "frames")


def _name(item: SoundItem) -> str:
    return item.video.name


def _items(videos: Sequence[ListedVideo], stores: Sequence[Path]) -> list[SoundItem]:
    """Each video with the stores that have its name, or that of a subject (`_left`, `_right`, `_person1`)."""
    names = {video.subject or video.path.stem for video in videos}
    faces: dict[str, list[Path]] = {}
    for path in stores:
        name = path.stem if path.stem in names else video_of(path.stem)
        faces.setdefault(name, []).append(path)
    return [SoundItem(video.path, faces.get(video.subject or video.path.stem, [])) for video in videos]


@dataclass(frozen=True, slots=True)
class MakeSoundFeatures:
    """What workers apply to videos. Returns a line on the result."""

    config: AudioFeaturesConfig
    folders: StoreFolders

    def set_up(self, threads: int | None) -> Callable[[SoundItem, Progress], str]:
        # Loaded on use: `--help` and wrong usage are answered without it.
        from abaw.audio.options import SoundOptions
        from abaw.audio.registry import open_model
        from abaw.inference.devices import choose_device

        device = str(choose_device(self.config.accelerator)) if self.config.model.startswith("hf:") else "cpu"
        model = open_model(self.config.model, SoundOptions(self.config.layer, device))
        return lambda item, progress: self._write(model, item, progress)

    def _write(self, model: SoundModel, item: SoundItem, progress: Progress) -> str:
        # Loaded on use: `--help` and wrong usage are answered without it.
        from abaw.inference.sound import write_sound_features
        from abaw.stores.faces import open_faces

        if not item.faces:
            raise DataError(f"no faces store is named {item.video.stem}; give --faces made from this video")
        faces = [open_faces(path) for path in item.faces]
        report = write_sound_features(item.video, faces, model, self.folders.path, self.config.track, progress)
        if report is None:
            return "already exists"
        track = f"; {report.track}" if report.track else ""
        if report.missing:
            return f"{report.frames} frames, none with sound: {report.missing}{track}"
        return f"{report.frames} frames, {report.heard} with sound{track}"
