"""`abaw import-images`: labelled or unlabelled stills -> faces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from abaw.core.errors import ConfigError
from abaw.core.text import listed
from abaw.stores.crop import DEFAULT_CROPS, Crop, crop_folders, parse_crops
from pipelines.console import progress, result, say, warn
from pipelines.engine_settings import EngineSettings, engine_for, require_engine
from pipelines.inputs import DetectorName, InputPath
from pipelines.items import report_failure

if TYPE_CHECKING:
    from abaw.importing.face_finder import OpenFinder
    from abaw.importing.import_stills import StillsReport
    from abaw.importing.still import Still

_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class ImportImagesConfig(EngineSettings):
    """Import a set of still images into a faces store: the largest face of each image, cropped as for videos.

    Args:
        dataset: name of a descriptor that is included (ferplus, raf_db, unlabelled, …), or the path of your own .yaml
        root: folder of the images, laid out as the descriptor says
        out: folder for the store
        subset: the split to import (train, valid, …) if the set's table has several; all of them by default
        name: name of the store; by default the descriptor's name, with _SUBSET
        detector: auto, builtin, insightface:PACK, the path of a SCRFD or YuNet .onnx, or none for images that are
            already crops
        crop: kinds of crop, see `abaw extract`; with several, each has its own folder in --out; with --detector none,
            the kind of the images, which are resized to its pixels

    Examples:
        abaw import-images --dataset ferplus --root FERPlus/ --subset train --out stills/
        abaw import-images --dataset folder_per_class --root photos/ --detector builtin --out stills/
        abaw import-images --dataset unlabelled --root more_photos/ --out stills/
    """

    dataset: str
    root: InputPath
    out: Path
    subset: str = ""
    name: str = ""
    detector: DetectorName = "auto"
    crop: tuple[str, ...] = DEFAULT_CROPS

    def __post_init__(self) -> None:
        parse_crops(self.crop)


def run(config: ImportImagesConfig) -> int:
    """Exit status: 1 when an image could not be imported or none shows a face (the store is written), else 0."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.importing.descriptor import load_descriptor
    from abaw.importing.find_stills import find_stills
    from abaw.importing.import_stills import import_stills
    from abaw.stores.arrow import SUFFIX

    require_engine(config)
    descriptor = load_descriptor(config.dataset)
    name = config.name or "_".join(filter(None, (descriptor.name, config.subset)))
    if Path(name).name != name:
        raise ConfigError(f"name '{name}': expected a plain name without a folder")
    stills = find_stills(descriptor, config.root, config.subset)
    if descriptor.table is None:
        _report_left_out(name, config.root)
    finder, accelerator = _finder(config.detector)
    paths, engine = _paths(config, stills, f"{name}{SUFFIX}"), engine_for(config, len(stills), accelerator)
    with progress(f"{name}: importing", "images") as hook:
        report = import_stills(descriptor, stills, finder, paths, engine, hook)
    if report is None:
        say(f"{name}: already exists")
        return 0
    return _report(name, report, _counts(stills), config.out)


def _report_left_out(name: str, root: Path) -> None:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.importing.still import left_out

    others = [str(path.relative_to(root)) for path in left_out(root)]
    if others:
        warn(
            f"{name}: {len(others)} pictures are left out: {listed(others, _SHOWN)}; animations are videos (`abaw "
            "extract`), other formats need converting to JPEG or PNG"
        )


def _finder(detector: str) -> tuple[OpenFinder, str]:
    """What finds the faces, and where it computes (see `detecting_on`)."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.importing.face_finder import open_finder
    from pipelines.extract.command import detecting_on, resolved_detector

    if detector == "none":
        return partial(open_finder, detector), "cpu"
    resolved = resolved_detector(detector)
    return partial(open_finder, resolved), detecting_on(resolved)


def _paths(config: ImportImagesConfig, stills: Sequence[Still], name: str) -> dict[Crop, Path]:
    """Where the store of each kind of crop is."""
    crops = parse_crops(config.crop)
    if config.detector == "none" and len(crops) > 1 and any(still.box_xyxy is None for still in stills):
        raise ConfigError("--detector none: images that are crops already are of one kind; give one --crop")
    return {crop: folder / name for crop, folder in crop_folders(config.out, crops).items()}


def _counts(stills: Sequence[Still]) -> str:
    """`Neutral 3, Anger 1, …`: images per class; empty for a set without labels."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.protocol.classes import EXPRESSION_CLASSES, UNLABELLED

    counts = Counter(still.label for still in stills)
    if set(counts) == {UNLABELLED}:
        return ""
    named = [f"{name} {counts[index]}" for index, name in enumerate(EXPRESSION_CLASSES)]
    return ", ".join([*named, *([f"no label {counts[UNLABELLED]}"] if counts[UNLABELLED] else [])])


def _report(name: str, report: StillsReport, counts: str, out: Path) -> int:
    """Print the result; returns the exit status."""
    without = report.num_rows - report.num_faces
    result(f"{name}: {report.num_rows} images, {without} of them without a face" + (f"; {counts}" if counts else ""))
    if report.unreadable:
        some = listed(report.unreadable, _SHOWN)
        warn(f"{name}: {len(report.unreadable)} images could not be read: {some}")
    failures = [report_failure(key, error, out) for key, error in report.failed]
    if failures:
        warn(f"{name}: {len(failures)} images failed and have no face in the store; to retry, remove it and run again")
    if not report.num_faces:
        warn(f"{name}: no image shows a face; try another --detector, or none for images that are crops already")
    return 1 if report.unreadable or failures or not report.num_faces else 0
