"""`abaw export-features`: features stores -> files for other tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from abaw.core.progress import Progress
from pipelines.engine_settings import EngineSettings, engine_for, require_engine
from pipelines.inputs import InputPath
from pipelines.items import run_items


@dataclass(frozen=True, kw_only=True)
class ExportFeaturesConfig(EngineSettings):
    """Write features stores as .npz or .parquet, one file per video, which import-features restores without loss.

    Args:
        features: features stores, or folders of them
        out: folder for the files; existing ones that were made from the same stores are kept
        format: npz has the arrays features, frame and valid; parquet has columns of these names, with lists of 32 bits
        faces: faces stores of the same videos, or folders of them: the files also get the time of every frame

    Examples:
        abaw export-features features/ --format parquet --out for_others/
        abaw export-features features/ --format npz --faces faces/ --out for_others/
    """

    features: tuple[InputPath, ...]
    out: Path
    format: Literal["npz", "parquet"]
    faces: tuple[InputPath, ...] = ()


def run(config: ExportFeaturesConfig) -> int:
    """Exit status: 1 when a store failed (the others are exported), else 0."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.stores.arrow import stores_by_name

    require_engine(config)
    stores = list(stores_by_name(config.features).values())
    faces = stores_by_name(config.faces)
    engine = engine_for(config, len(stores))
    return run_items(stores, lambda path: path.stem, ExportStores(config, faces), config.out, engine)


@dataclass(frozen=True, slots=True)
class ExportStores:
    """What workers apply to features stores. Returns a line on the result. faces: faces stores by name."""

    config: ExportFeaturesConfig
    faces: Mapping[str, Path]

    def set_up(self, threads: int | None) -> Callable[[Path, Progress], str]:
        return lambda path, progress: self._export(path)

    def _export(self, path: Path) -> str:
        # Loaded on use: `--help` and wrong usage are answered without it.
        from abaw.importing.features.export import export_features, frame_times
        from abaw.stores.features import open_features

        store = open_features(path)
        times = frame_times(self.faces.get(path.stem), store) if self.config.faces else None
        target = self.config.out / f"{path.stem}.{self.config.format}"
        if not export_features(store, target, self.config.format, times):
            return "already exists"
        return f"{len(store)} frames, {int((~store.valid).sum())} of them without a feature"
