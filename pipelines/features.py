"""`abaw features`: faces + static checkpoint, or a network of another project -> features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from abaw.core.ledger import Made
from abaw.core.mirror import Mirror
from abaw.core.progress import Progress
from abaw.extractors.settings import ExtractorSettings
from abaw.stores.folders import StoreFolders
from pipelines.console import say
from pipelines.engine_settings import BatchSettings, engine_for, require_engine
from pipelines.finished import Finished, made_with
from pipelines.inputs import ExtractorName, OutPath, StoresPath
from pipelines.items import run_items
from pipelines.remote import mirrored, staged

if TYPE_CHECKING:
    from abaw.extractors.extractor import Extractor


@dataclass(frozen=True, kw_only=True)
class FeaturesConfig(BatchSettings):
    """Compute the features of the face in every frame.

    Args:
        faces: faces stores of videos, or folders of them, also at s3:// or gs://
        checkpoint: folder of a static checkpoint, a file of `abaw export`, or builtin, the one of the package; a
            network of another project: onnx:FILE, timm:NAME (extra timm), hf:NAME_OR_FOLDER (extra hf); or your own
            code: python:FILE.py
        extractor: what a network of another project expects and returns
        out: folder for the features stores, also at s3:// or gs://; existing ones that were made from the same faces
            are kept
        outputs: features of the backbone, or the logits of its classifier: few numbers, which a temporal model does not
            memorise (static checkpoints only)
        flip: mean of the features of each face and its mirror image (takes twice as long)
        batch_size: frames per forward pass
        accelerator: where to compute; auto uses a GPU if there is one

    Examples:
        abaw features --faces faces/ --checkpoint runs/static/last --out features/
        abaw features --faces faces/box-224-0.30 --checkpoint onnx:enet_b0_8_best_vgaf.onnx --out enet/
        abaw features --faces faces/box-224-0.30 --checkpoint hf:facebook/dinov2-small --out dino/
    """

    faces: tuple[StoresPath, ...]
    checkpoint: ExtractorName
    out: OutPath
    extractor: ExtractorSettings = field(default_factory=ExtractorSettings)
    outputs: Literal["features", "logits"] = "features"
    flip: bool = False
    batch_size: int = 128
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"


def run(config: FeaturesConfig) -> int:
    """Exit status: 1 when a store failed, else 0."""
    require_engine(config, config.accelerator)
    with mirrored(config) as (local, mirror):
        return _run(local, mirror)


def _run(config: FeaturesConfig, mirror: Mirror) -> int:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.extractors.registry import split_name
    from abaw.stores.arrow import find_stores

    stores = find_stores(config.faces)
    function = MakeFeatures(config, StoreFolders(config.out, len(stores)))
    settings = made_with(config, ("faces", "out"), [Path(split_name(config.checkpoint)[1])])
    finished: Finished[Path] = Finished(config.out, len(stores), settings, function.files, mirror)
    items = finished.left(config.of_shard(stores, _name))
    engine = engine_for(config, len(items), config.accelerator)
    staging = staged(function, mirror, function.files)
    return run_items(items, _name, staging, config.out, engine, "frames", finished.add)


def _name(path: Path) -> str:
    return path.stem


@dataclass(frozen=True, slots=True)
class MakeFeatures:
    """What workers apply to faces stores. Returns a line on the result."""

    config: FeaturesConfig
    folders: StoreFolders

    def set_up(self, threads: int | None) -> Callable[[Path, Progress], str]:
        # Loaded on use: `--help` and wrong usage are answered without it.
        from abaw.extractors.registry import open_extractor
        from abaw.inference.devices import choose_device

        extractor = open_extractor(
            self.config.checkpoint,
            choose_device(self.config.accelerator),
            self.config.extractor,
            threads,
            flip=self.config.flip,
            batch_size=self.config.batch_size,
            outputs=self.config.outputs,
        )
        for note in extractor.notes:
            say(note)
        return lambda path, progress: self._write(extractor, path, progress)

    def files(self, path: Path) -> Made:
        return Made([path], [self.folders.path(path.name)])

    def _write(self, extractor: Extractor, path: Path, progress: Progress) -> str:
        # Loaded on use: `--help` and wrong usage are answered without it.
        from abaw.inference.features import write_video_features
        from abaw.stores.faces import open_faces

        faces = open_faces(path)
        if not write_video_features(faces, extractor, self.folders.path(path.name), progress):
            return "already exists"
        return f"{len(faces)} frames, {int(faces.valid.sum())} with a face"
