"""`abaw import-features`: features that other tools wrote -> features stores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from abaw.core.progress import Progress
from abaw.core.text import listed
from abaw.protocol.lengths import TOLERANCE
from abaw.stores.folders import StoreFolders
from pipelines.console import say, warn
from pipelines.engine_settings import BatchSettings, engine_for, require_engine
from pipelines.inputs import InputPath
from pipelines.items import run_items

if TYPE_CHECKING:
    from abaw.importing.features.plan import ImportItem, OpenFiles
    from abaw.importing.features.rows import ReadOptions
    from abaw.importing.features.write import Imported

_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class ImportFeaturesConfig(BatchSettings):
    """Import features that other tools wrote: .npy, .npz, .parquet, .csv, .arrow, .h5, .pt, .pkl.

    Args:
        files: files, or folders of them; a file holds one video, whose name it has, or several by name
        faces: faces stores of the same videos, or folders of them: they say how many frames there are, and when
        out: folder for the features stores; existing ones that were made from the same files are kept
        name: what computed the features, one word; the same for training and prediction. Without it, files that
            export-features wrote are restored
        modality: face, sound or what else they describe (default: face, or what export-features recorded); features of
            anything but a face go to all people of a video
        trained_on: data sets on which the network was trained, or names of videos; validate warns when it was trained
            on videos that are scored
        first_frame: 0 or 1: the number that the files give to the first frame; needed where they number frames
        match_by: frame numbers or time stamps; auto uses numbers where there are any
        resample: how rows at other times than the frames are combined: nearest row, linear between two, or mean
        columns: columns of tables to use, with patterns such as 'AU*_r'; all numbers by default
        frame_column: column of frame numbers, if it is not named frame
        time_column: column of times in seconds, if it is not named time_s, timestamp, time or frameTime
        video_column: column of videos, if it is not named video
        min_confidence: rows with less confidence (OpenFace, py-feat) count as frames without a face
        missing: rows of nothing but NaN (nan) or zeros (zero) count as frames without a feature
        faces_only: leave out features of frames that have no face in the faces store
        width: numbers per frame; by default those of the first video
        tolerance: frames by which the rows may end after the video, or differ from its length

    Examples:
        abaw import-features dinov2/ --faces faces/ --name dinov2_s --out dinov2_stores/
        abaw import-features openface/ --faces faces/ --name openface --first_frame 1 --columns 'AU*_r' --out aus/
        abaw import-features egemaps.csv --faces faces/ --name egemaps --modality sound --resample mean --out sound/
    """

    files: tuple[InputPath, ...]
    faces: tuple[InputPath, ...]
    out: Path
    name: str = ""
    modality: str = ""
    trained_on: tuple[str, ...] = ()
    first_frame: Literal[0, 1] | None = None
    match_by: Literal["auto", "frame", "time"] = "auto"
    resample: Literal["nearest", "linear", "mean"] = "nearest"
    columns: tuple[str, ...] = ()
    frame_column: str = ""
    time_column: str = ""
    video_column: str = ""
    min_confidence: float = 0.0
    missing: Literal["none", "nan", "zero"] = "none"
    faces_only: bool = False
    width: int | None = None
    tolerance: int = TOLERANCE


def run(config: ImportFeaturesConfig) -> int:
    """Exit status: 1 when a video failed (the others are imported), else 0."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.importing.features.plan import OpenFiles, find_feature_files, plan_import
    from abaw.importing.features.write import with_expected
    from abaw.stores.arrow import stores_by_name

    require_engine(config)
    imported = _imported(config)
    faces = stores_by_name(config.faces)
    opened = OpenFiles(_read_options(config, tuple(faces)))
    unknown: list[str] = []
    files = find_feature_files(config.files, unknown)
    plan = plan_import(files, faces, opened, config.modality or "face")
    if imported.name:
        imported = with_expected(imported, plan.items, opened)
    for note in plan.notes:
        say(note)
    for names, what in (
        (unknown, "files are of an unknown kind and left out"),
        (plan.unmatched, "videos have no faces store and are left out"),
        (plan.without, "faces stores have no features"),
    ):
        if names:
            warn(f"{len(names)} {what}: {listed(names, _SHOWN)}")
    for fault in plan.faults:
        say(f"failed: {fault}")
    items = config.of_shard(plan.items, _name)
    try:
        function = ImportVideos(imported, opened, StoreFolders(config.out, len(plan.items)))
        status = run_items(items, _name, function, config.out, engine_for(config, len(items)), "frames")
        return 1 if plan.faults else status
    finally:
        opened.close()


def _name(item: ImportItem) -> str:
    return item.faces.stem


def _imported(config: ImportFeaturesConfig) -> Imported:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.importing.features.matching import MatchRules
    from abaw.importing.features.write import Imported

    rules = MatchRules(config.first_frame, config.match_by, config.resample, config.tolerance, config.missing)
    return Imported(config.name, rules, config.modality, config.trained_on, config.faces_only, config.width)


def _read_options(config: ImportFeaturesConfig, known: tuple[str, ...]) -> ReadOptions:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.importing.features.rows import ReadOptions

    return ReadOptions(
        frozenset(known),
        config.columns,
        config.frame_column,
        config.time_column,
        config.video_column,
        config.min_confidence,
    )


@dataclass(frozen=True, slots=True)
class ImportVideos:
    """What workers apply to videos. Returns a line on the result. opened: of this process or of each worker."""

    imported: Imported
    opened: OpenFiles
    folders: StoreFolders

    def set_up(self, threads: int | None) -> Callable[[ImportItem, Progress], str]:
        return self._import

    def _import(self, item: ImportItem, progress: Progress) -> str:
        # Loaded on use: `--help` and wrong usage are answered without it.
        from abaw.importing.features.write import import_video

        report = import_video(item, self.opened, self.imported, self.folders.path(item.faces.name), progress)
        if report is None:
            return "already exists"
        without = report.num_frames - report.num_valid
        return "; ".join([f"{report.num_frames} frames, {without} of them without a feature", *report.notes])
