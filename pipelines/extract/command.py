"""`abaw extract`: videos -> faces, one store a subject with one row for every decoded frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from abaw.core.artifacts import remove_orphans
from abaw.core.errors import AbawError, ConfigError
from abaw.protocol.layout import find_videos
from pipelines.batch import finish_batch
from pipelines.console import progress, say, warn
from pipelines.inputs import DetectorName, InputPath, InputText

if TYPE_CHECKING:
    from abaw.video.extract import ExtractedVideo
    from pipelines.extract.workers import Finished, Setting, Work

_NAMES_SHOWN = 10
_PEOPLE_NAMED = 2


@dataclass(frozen=True)
class ExtractConfig:
    """Detect, track and align the faces of videos.

    Args:
        videos: video files, or folders that are searched for videos
        out: folder for the stores, one `<subject>.arrow` each; those that are there already are kept
        detector: auto, builtin, insightface:PACK, or the path of a SCRFD or YuNet .onnx file; auto is
            insightface:buffalo_l where insightface has it on disk, and builtin elsewhere
        reader: what decodes the videos
        subjects: main (one person a video), all (every track as a store of its own), or the paths of annotation
            folders and templates whose names tell the people (<video>, <video>_left, <video>_right, <video>_1)
        review: write a contact sheet a video, and list those where somebody else might have been meant
        corrections: CSV with the columns video, track and, where wanted, subject: tracks that a person chose instead
        workers: videos worked on side by side; the stores do not depend on it
        min_score: faces that the detector is less sure of are left out; its own default when not given
        max_gap: frames without the face that a track survives
        min_iou: overlap from frame to frame below which a face is somebody else
        min_track_frames: shorter tracks get no store with --subjects all
        jpeg_quality: of the crops, 1 to 100
        full_every: the whole picture is looked at on every that manyth frame at least, 1 for every frame; between, only
            the regions around known faces
        region: side of such a region, in sizes of the face
        region_px: to how many pixels it is brought
        max_score_drop: a face whose score falls that far under its usual is looked for in the whole picture

    Examples:
        abaw extract videos/ --out faces/ --workers 4
        abaw extract clip.mp4 --out faces/ --subjects all --review
        abaw extract videos/ --out faces/ --detector insightface:buffalo_l --subjects annotations/Train_Set
    """

    videos: tuple[InputText, ...]
    out: Path
    detector: DetectorName = "auto"
    reader: Literal["pyav", "decord", "torchcodec"] = "pyav"
    subjects: tuple[str, ...] = ("main",)
    review: bool = False
    corrections: InputPath | None = None
    workers: int = 1
    min_score: float | None = None
    max_gap: int = 15
    min_iou: float = 0.3
    min_track_frames: int = 10
    jpeg_quality: int = 95
    full_every: int = 17
    region: float = 1.7
    region_px: int = 152
    max_score_drop: float = 0.2


def run(config: ExtractConfig) -> int:
    """Exit status: 1 when a video failed, else 0."""
    if config.workers < 1:
        raise ConfigError(f"--workers {config.workers}: expected at least 1")
    setting = _setting(config)
    works = _works(config)
    remove_orphans(config.out)
    stores: dict[Path, list[Path]] = {}
    failures: list[str] = []
    for finished in _extract(works, setting, min(config.workers, len(works))):
        name = finished.work.path.name
        if isinstance(finished.outcome, AbawError):
            failures.append(f"{name}: {finished.outcome}")
            say(f"{name}: failed: {finished.outcome}")
            continue
        stores[finished.work.path] = [store.path for store in finished.outcome.stores]
        say(f"{name}: {_line(finished.outcome, finished.seconds)}")
        for text in finished.outcome.warnings:
            warn(f"{name}: {text}")
    if config.review and stores:
        # Loaded on use: `--help` and wrong usage are answered without it.
        from pipelines.extract.review import review

        review(dict(sorted(stores.items())), config.out)
    return finish_batch(len(stores), failures)


def _setting(config: ExtractConfig) -> Setting:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.video.extract import ExtractOptions
    from pipelines.extract.workers import Setting

    options = ExtractOptions(
        reader=config.reader,
        min_score=config.min_score,
        max_gap=config.max_gap,
        min_iou=config.min_iou,
        min_track_frames=config.min_track_frames,
        jpeg_quality=config.jpeg_quality,
        full_every=config.full_every,
        region=config.region,
        region_px=config.region_px,
        max_score_drop=config.max_score_drop,
    )
    return Setting(config.out, resolved_detector(config.detector), options)


def resolved_detector(name: str) -> str:
    """The detector that `name` stands for; warns when it is the builtin one."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.video.detecting.registry import AUTO, BUILTIN, DEFAULT_PACK, PACK_PREFIX, resolve_detector

    resolved = resolve_detector(name)
    if resolved == BUILTIN:
        better = f"--detector {PACK_PREFIX}{DEFAULT_PACK} (downloaded by insightface) or --detector PATH.onnx"
        warn(f"the builtin detector is small and misses faces turned far away or in the dark; better is {better}")
    elif name == AUTO:
        say(f"detector: {resolved}")
    return resolved


def _works(config: ExtractConfig) -> list[Work]:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.video.people.corrections import assign, read_corrections
    from abaw.video.people.subject_names import plan_subjects, read_names
    from pipelines.extract.workers import Work

    paths = find_videos(Path(video) for video in config.videos)
    if config.subjects == ("all",):
        if config.corrections:
            raise ConfigError("--corrections: with --subjects all every track has its store, nobody is chosen")
        return [Work(path, None) for path in paths]
    sources = () if config.subjects == ("main",) else config.subjects
    names = [name for source in sources for name in read_names(Path(source))]
    plan = plan_subjects([path.stem for path in paths], names)
    if plan.without_video:
        more = len(plan.without_video) - _NAMES_SHOWN
        shown = ", ".join(plan.without_video[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
        warn(f"{', '.join(sources)}: labels for a video that is not there: {shown}")
    rows = read_corrections(config.corrections) if config.corrections else []
    corrections = assign(rows, plan.subjects)
    return [Work(path, plan.subjects[path.stem], corrections.get(path.stem, {})) for path in paths]


def _extract(works: list[Work], setting: Setting, workers: int) -> Iterator[Finished]:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.video.detecting.registry import open_detector
    from pipelines.extract.workers import extract_one, extract_side_by_side

    # Opened here in any case: a fault of the weights ends the command, and a pack is downloaded once.
    detector = open_detector(setting.detector, setting.options.min_score)
    if workers > 1:
        yield from extract_side_by_side(works, setting, workers)
        return
    for work in works:
        with progress(work.path.name, "frames") as hook:
            finished = extract_one(work, setting, detector, hook)
        yield finished


def _line(video: ExtractedVideo, seconds: float) -> str:
    if video.skipped:
        return "is there already"
    fewer = [f"{store.subject} on {store.faces} of them" for store in video.stores if store.faces < video.faces]
    who = f" ({', '.join(fewer)})" if fewer and len(video.stores) <= _PEOPLE_NAMED else ""
    return (
        f"{video.frames} frames, {video.faces} with a face ({100 * video.faces / video.frames:.1f} %){who}, "
        f"{video.frames / seconds:.1f} frames/s, {video.lost_frames} lost"
    )
