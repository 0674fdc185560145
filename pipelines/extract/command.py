"""`abaw extract`: videos -> faces, one store per subject with one row for every decoded frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from abaw.core.artifacts import remove_orphans
from abaw.core.config import part_of
from abaw.core.errors import ConfigError
from abaw.core.mirror import Mirror
from abaw.core.object_store import as_url, is_remote
from abaw.protocol.layout import Subject, find_videos, parse_subject
from abaw.protocol.listed_videos import ListedVideo, listed_and_found
from abaw.stores.crop import DEFAULT_CROPS, crop_folders, parse_crops
from abaw.stores.folders import StoreFolders
from abaw.video.detecting.names import AUTO, BUILTIN, DEFAULT_PACK, PACK_PREFIX
from abaw.video.options import ExtractOptions
from pipelines.console import say, warn
from pipelines.engine_settings import BatchSettings, engine_for, require_engine
from pipelines.finished import Finished, made_with
from pipelines.inputs import DetectorName, InputPath, OutPath, VideoText
from pipelines.items import finish_items, successes
from pipelines.remote import mirrored, staged, with_local_paths

if TYPE_CHECKING:
    from abaw.video.extract import ExtractedVideo
    from abaw.video.people.subject_stores import ExtractedStore
    from pipelines.extract.items import ExtractVideos, VideoItem

_NAMES_SHOWN = 10
_PEOPLE_NAMED = 2


@dataclass(frozen=True, kw_only=True)
class ExtractConfig(ExtractOptions, BatchSettings):
    """Detect, track and crop the faces of videos.

    Args:
        videos: video files, folders that are searched for videos, or lists: a .txt with one path per line, or a .csv
            with the column path and, optionally, subject (the store's name) and frames (how many are expected); each
            may be s3:// or gs://
        out: folder for the stores, one `<subject>.arrow` each; existing ones are kept; may be s3:// or gs://
        detector: auto, builtin, insightface:PACK, or the path of a SCRFD or YuNet .onnx file; auto is the first of
            these on disk: an insightface pack, a YuNet, a SCRFD; otherwise builtin
        subjects: main (one person per video), all (every person in a store), or the paths of annotation
            folders and templates whose names list the people (<video>, <video>_left, <video>_right, <video>_1)
        crop: kinds of crop, made in one pass: aligned:PIXELS (eyes and mouth always at the same places) or
            box:PIXELS:MARGIN (the square around the face's box with MARGIN of its longer side added on each side); the
            stores of several kinds are in folders of --out such as aligned-112 and box-224-0.30
        review: write a contact sheet per video, and list those where another person may have been meant
        corrections: CSV with the columns video, track and, optionally, subject: tracks that a person chose instead

    Examples:
        abaw extract clip.mp4 --out faces/ --subjects all --review
        abaw extract --videos list.csv --out faces/ --shard 3/16 --crop aligned:112 box:224:0.3
        abaw extract videos/ --out faces/ --detector insightface:buffalo_l --subjects annotations/Train_Set
    """

    videos: tuple[VideoText, ...]
    out: OutPath
    detector: DetectorName = "auto"
    reader: Literal["pyav", "decord", "torchcodec"] = "pyav"
    subjects: tuple[str, ...] = ("main",)
    crop: tuple[str, ...] = DEFAULT_CROPS
    review: bool = False
    corrections: InputPath | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_crops(self.crop)


def run(config: ExtractConfig) -> int:
    """Exit status: 1 when a video failed, else 0."""
    require_engine(config)
    if is_remote(config.out) and (config.subjects == ("all",) or config.review or config.corrections):
        raise ConfigError(
            f"--out {as_url(config.out)}: --subjects all, --review and --corrections need a local folder; the videos "
            "may be in the object store"
        )
    with mirrored(config) as (local, mirror):
        return _run(local, mirror)


def _run(config: ExtractConfig, mirror: Mirror) -> int:
    detector = resolved_detector(config.detector)
    found = _items(config, mirror)
    for folder in (config.out, *crop_folders(config.out, parse_crops(config.crop)).values()):
        remove_orphans(folder)
    stores: dict[Path, Sequence[ExtractedStore]] = {}
    done = 0
    failures: list[str] = []
    function = _function(config, detector, len(found))
    # A review shows all stores, and corrections may change any.
    recorded = 0 if config.review or config.corrections else len(found)
    settings = made_with(config, ("videos", "out", "subjects"), [Path(detector)])
    finished = Finished(config.out, recorded, settings, function.files, mirror)
    items = finished.left(config.of_shard(found, _name))
    engine = engine_for(config, len(items), detecting_on(detector))
    staging = staged(function, mirror, function.read_and_written)
    for video in successes(items, _name, staging, config.out, engine, failures, "frames"):
        done += 1
        finished.add(video.item)
        if config.review:
            stores[video.item.path] = video.outcome.stores
        say(f"{video.name}: {_line(video.outcome, video.seconds)}")
        for text in video.outcome.warnings:
            warn(f"{video.name}: {text}")
    if stores:
        # Loaded on use: `--help` and wrong usage are answered without it.
        from pipelines.extract.review import review

        review(dict(sorted(stores.items())), config.out)
    return finish_items(done, failures)


def _name(item: VideoItem) -> str:
    return item.path.name


def _function(config: ExtractConfig, detector: str, num_videos: int) -> ExtractVideos:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.video.detecting.registry import open_detector
    from pipelines.extract.items import ExtractVideos

    open_detector(detector, config.min_score)  # once before the workers do: a pack is downloaded by one process alone
    crops = parse_crops(config.crop)
    folders = StoreFolders(crop_folders(config.out, crops)[crops[0]], num_videos)
    return ExtractVideos(config.out, detector, part_of(config, ExtractOptions), crops, folders)


def resolved_detector(name: str) -> str:
    """The detector of that name. Says which one `auto` picked and why, and warns of the builtin one."""
    if name == AUTO:
        # Loaded on use: `--help` and wrong usage are answered without it.
        from abaw.video.detecting.auto import choose_detector

        choice = choose_detector()
        say(f"detector: {choice.name} ({choice.reason})")
        name = choice.name
    if name == BUILTIN:
        better = f"--detector {PACK_PREFIX}{DEFAULT_PACK} (downloaded by insightface) or --detector PATH.onnx"
        warn(f"the builtin detector is small and misses faces turned far away or in the dark; better is {better}")
    return name


def detecting_on(detector: str) -> Literal["auto", "cpu"]:
    """Where a detector computes; auto: on a GPU if there is one. detector: resolved name."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.onnx_session import has_cuda

    return "auto" if detector != BUILTIN and has_cuda() else "cpu"


def _items(config: ExtractConfig, mirror: Mirror) -> list[VideoItem]:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.video.people.corrections import assign, read_corrections
    from abaw.video.people.subject_names import plan_subjects, read_names
    from pipelines.extract.items import VideoItem

    listed: dict[Path, list[ListedVideo]] = {}
    for video in with_local_paths(mirror, listed_and_found(map(Path, config.videos), find_videos)):
        listed.setdefault(video.path, []).append(video)
    named = {path: people for path, rows in listed.items() if (people := _listed_people(path, rows))}
    if config.subjects == ("all",):
        if config.corrections:
            raise ConfigError("--corrections: with --subjects all every person has a store, so nobody is chosen")
        if named:
            raise ConfigError("--subjects all: every person has a store; the list may have no column 'subject'")
        return [VideoItem(path, None, frames=rows[0].frames) for path, rows in listed.items()]
    sources = () if config.subjects == ("main",) else config.subjects
    names = [name for source in sources for name in read_names(Path(source))]
    plan = plan_subjects([path.stem for path in listed if path not in named], names)
    if plan.without_video:
        more = len(plan.without_video) - _NAMES_SHOWN
        shown = ", ".join(plan.without_video[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
        warn(f"{', '.join(sources)}: labels for a video that is not there: {shown}")
    everybody = {path: named.get(path) or plan.subjects[path.stem] for path in listed}
    of_stem: dict[str, list[Subject]] = {}  # a list may hold several videos of one file name, each with its people
    for path, people in everybody.items():
        of_stem.setdefault(path.stem, []).extend(people)
    corrections = assign(read_corrections(config.corrections) if config.corrections else [], of_stem)
    return [
        VideoItem(path, everybody[path], corrections.get(path.stem, {}), rows[0].frames)
        for path, rows in listed.items()
    ]


def _listed_people(path: Path, rows: Sequence[ListedVideo]) -> list[Subject]:
    """The people that a list names for a video, empty if it names none. A side is part of a name, see parse_subject."""
    found = [parse_subject(row.subject) for row in rows if row.subject is not None]
    return [each if each.video == path.stem else Subject(each.name, path.stem, None) for each in found]


def _line(video: ExtractedVideo, seconds: float) -> str:
    if video.skipped:
        return "already exists"
    fewer = [f"{store.subject} on {store.faces} of them" for store in video.people if store.faces < video.faces]
    who = f" ({', '.join(fewer)})" if fewer and len(video.people) <= _PEOPLE_NAMED else ""
    return (
        f"{video.frames} frames, {video.faces} with a face ({100 * video.faces / video.frames:.1f} %){who}, "
        f"{video.frames / seconds:.1f} frames/s, {video.lost_frames} lost"
    )
