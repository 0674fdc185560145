"""`abaw import-images`: labelled or unlabelled stills -> faces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from abaw.core.errors import ConfigError
from pipelines.console import progress, result, say, warn

if TYPE_CHECKING:
    from abaw.data.import_stills import FaceFinder, StillsReport

_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class ImportImagesConfig:
    """Take a set of still images into one faces store, the largest face of each aligned like a video's.

    Args:
        dataset: a descriptor that ships (folder_per_class, unlabelled), or the path of a .yaml of your own
        root: folder of the images, laid out as the descriptor says
        out: folder for the store
        name: name of the store; by default the descriptor's
        detector: auto, builtin, insightface:PACK, the path of a SCRFD or YuNet .onnx, or none for images that are crops
    """

    dataset: str
    root: Path
    out: Path
    name: str = ""
    detector: str = "auto"


def run(config: ImportImagesConfig) -> int:
    """Exit status: 1 when an image could not be read or none shows a face (the store is written), else 0."""
    from abaw.data.descriptor import find_stills, load_descriptor
    from abaw.data.import_stills import fingerprint, import_stills
    from abaw.stores.arrow import SUFFIX, is_done

    descriptor = load_descriptor(config.dataset)
    name = config.name or descriptor.name
    if Path(name).name != name:
        raise ConfigError(f"name '{name}': expected a plain name without a folder")
    stills = find_stills(descriptor, config.root)
    finder = _finder(config.detector)
    target = config.out / f"{name}{SUFFIX}"
    if is_done(target, fingerprint(descriptor, stills, finder)):
        say(f"{name}: already there")
        return 0
    with progress(f"{name}: importing", "images") as hook:
        report = import_stills(descriptor, stills, finder, target, hook)
    return _tell(name, report)


def _finder(detector: str) -> FaceFinder:
    from abaw.data.import_stills import LargestFace, WholeImage
    from abaw.video.detect import open_detector

    if detector == "none":
        return WholeImage()
    opened = open_detector(detector)
    if opened.lesser:
        warn("the builtin detector gives boxes only and misses more faces; insightface or an .onnx detector is better")
    return LargestFace(opened)


def _tell(name: str, report: StillsReport) -> int:
    without = report.num_rows - report.num_faces
    result(f"{name}: {report.num_rows} images, {without} of them without a face")
    if report.unreadable:
        some = ", ".join(report.unreadable[:_SHOWN]) + (", …" if len(report.unreadable) > _SHOWN else "")
        warn(f"{name}: {len(report.unreadable)} images could not be read: {some}")
    if not report.num_faces:
        warn(f"{name}: not one image shows a face; try another --detector, or none for images that are crops already")
    return 1 if report.unreadable or not report.num_faces else 0
