"""`abaw import-crops`: the official crop folders -> faces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from abaw.core.progress import Progress
from abaw.core.text import listed
from abaw.stores.folders import StoreFolders
from pipelines.console import warn
from pipelines.engine_settings import BatchSettings, engine_for, require_engine
from pipelines.inputs import InputPath
from pipelines.items import Remarks, run_items

_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class ImportCropsConfig(BatchSettings):
    """Import the official crops (`<video>/00001.jpg`) into faces stores; the JPEG files are copied unchanged.

    Args:
        folders: `cropped_aligned`, `cropped_aligned_new_50_vids`, a folder with both, or the folder of one video
        out: folder for the stores, one per video; existing ones are kept
        annotations: annotation folder; a video gets at least one row per label line of its file
        template: template of an edition; a video gets at least as many rows as its highest frame there

    Examples:
        abaw import-crops Aff-Wild2/cropped_aligned --out faces/
        abaw import-crops Aff-Wild2/cropped_aligned --annotations Aff-Wild2/annotations --out faces/
    """

    folders: tuple[InputPath, ...]
    out: Path
    annotations: InputPath | None = None
    template: InputPath | None = None


def run(config: ImportCropsConfig) -> int:
    """Return the exit status: 1 when a folder failed (the others are imported), else 0."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.importing.import_crops import find_crop_folders

    require_engine(config)
    lengths = _known_lengths(config)
    exported = _exported_lengths(config)
    empty: list[Path] = []
    folders = find_crop_folders(
        config.folders, {name for known in (lengths, exported) for name in known if known[name]}, empty
    )
    if empty:
        warn(
            f"{len(empty)} empty folders are left out: {listed([str(folder) for folder in empty], _SHOWN)}; for videos "
            "without a face, give --annotations or --template, which say how long they are"
        )

    function = ImportFolders(StoreFolders(config.out, len(folders)), lengths, exported)
    items = config.of_shard(folders, _name)
    return run_items(items, _name, function, config.out, engine_for(config, len(items)))


def _name(folder: Path) -> str:
    return folder.resolve().name


@dataclass(frozen=True, slots=True)
class ImportFolders:
    """What workers apply to folders. lengths, exported: see `_known_lengths` and `_exported_lengths`."""

    folders: StoreFolders
    lengths: Mapping[str, int]
    exported: Mapping[str, int]

    def set_up(self, threads: int | None) -> Callable[[Path, Progress], Remarks]:
        return lambda folder, progress: self._import(folder)

    def _import(self, folder: Path) -> Remarks:
        # Loaded on use: `--help` and wrong usage are answered without it.
        from abaw.importing.import_crops import fingerprint, import_crops, list_crops
        from abaw.stores.arrow import SUFFIX, is_done

        name = _name(folder)
        due = self.lengths.get(name, 0)
        crops = list_crops(folder, max(due, self.exported.get(name, 0)))
        target = self.folders.path(f"{crops.name}{SUFFIX}")
        num_frames = max(crops.last_frame, due, self.exported.get(crops.name, 0))
        if is_done(target, fingerprint(crops, num_frames)):
            return Remarks("already exists")
        report = import_crops(crops, target, num_frames)
        warnings = []
        if report.bad:
            some = listed(report.bad, _SHOWN)
            warnings.append(f"{len(report.bad)} images are not complete JPEGs, so their frames have no face: {some}")
        if crops.ignored:
            some = listed(crops.ignored, _SHOWN)
            warnings.append(f"{len(crops.ignored)} files are not crops and were left out: {some}")
        if 0 < due < crops.last_frame:
            warnings.append(f"the last image is frame {crops.last_frame}, but labels or template end at {due}")
        line = f"{report.num_rows} frames, {report.num_rows - report.num_faces} of them without a face"
        return Remarks(line, tuple(warnings))


def _known_lengths(config: ImportCropsConfig) -> dict[str, int]:
    """Video -> number of frames, where annotations or a template say it."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.protocol.annotations import TRAIN_SET, VALIDATION_SET, read_annotations, split_folder
    from abaw.protocol.template import read_video_list

    lengths: dict[str, int] = {}
    if config.annotations is not None:
        for folder in {split_folder(config.annotations, split) for split in (TRAIN_SET, VALIDATION_SET)}:
            for name, annotation in read_annotations(folder).items():
                lengths[name] = max(len(annotation.labels), lengths.get(name, 0))
    if config.template is not None:
        for name, count in read_video_list(config.template).num_frames.items():
            lengths[name] = max(count or 0, lengths.get(name, 0))
    return lengths


def _exported_lengths(config: ImportCropsConfig) -> dict[str, int]:
    """Video -> number of frames, for folders (or their parents) that `abaw export-crops` wrote."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.importing.export_crops import read_lengths

    lengths: dict[str, int] = {}
    for folder in config.folders:
        for place in (folder.resolve().parent, folder):
            lengths.update(read_lengths(place))
    return lengths
