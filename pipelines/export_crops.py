"""`abaw export-crops`: faces -> the official crop folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from abaw.core.errors import DataError
from pipelines.inputs import InputPath
from pipelines.items import Plain, run_items


@dataclass(frozen=True, kw_only=True)
class ExportCropsConfig:
    """Write faces stores in the official layout of crops: `<video>/00001.jpg`, JPEG files unchanged.

    Args:
        faces: faces stores of videos, or folders of them
        out: new or empty folder for the crops, or the folder of an earlier export; existing crops are kept

    Examples:
        abaw export-crops faces/ --out cropped_aligned/
        abaw export-crops faces/1-30-1280x720.arrow --out crops/
    """

    faces: tuple[InputPath, ...]
    out: Path


def run(config: ExportCropsConfig) -> int:
    """Return the exit status: 1 when a store failed (the others are exported), else 0."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.importing.export_crops import export_crops, is_exported, prepare_folder, write_lengths
    from abaw.stores.arrow import SUFFIX, find_stores
    from abaw.stores.faces import open_faces

    stores = find_stores(config.faces)
    names = [path.name.removesuffix(SUFFIX) for path in stores]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"two stores are named '{twice}'; export them into separate folders")
    lengths = prepare_folder(config.out, names)

    def export(path: Path) -> str:
        faces = open_faces(path)
        folder = config.out / path.name.removesuffix(SUFFIX)
        exported = is_exported(faces, folder)
        # Written before the images: a folder of images that is not in the list would count as crops from elsewhere.
        lengths[folder.name] = len(faces)
        write_lengths(config.out, lengths)
        if exported:
            return "already exists"
        images = export_crops(faces, folder)
        return f"{images} images, {len(faces) - images} frames without a face"

    return run_items(stores, lambda path: path.name.removesuffix(SUFFIX), Plain(export), config.out)
