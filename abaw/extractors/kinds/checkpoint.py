"""Static checkpoints of this project: a folder that `train-static` wrote, a file of `abaw export`, or `builtin`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from abaw.core.device import Device
from abaw.extractors.extractor import Compute, Extractor, Head
from abaw.extractors.settings import ExtractorSettings
from abaw.models.image_input import image_input
from abaw.models.running import Classify, runs_without_torch
from abaw.stores.spec import Spec, require_kind, trained_names
from abaw.weights import resolve_checkpoint

USES: Final[frozenset[str]] = frozenset()
"""Its spec says all."""


def open_extractor(argument: str, settings: ExtractorSettings, device: Device, threads: int | None) -> Extractor:
    """Raises CheckpointError when the checkpoint is missing, damaged or not static."""
    path = resolve_checkpoint(Path(argument), "static")
    opened = _by_onnxruntime(path, device, threads) if runs_without_torch(path, device) else _by_torch(path, device)
    spec, compute, classify, notes = opened
    image = image_input(spec)
    return Extractor(
        f"the static model {spec.weights_id}",
        image.size,
        image.crop,
        compute,
        spec.feature_dim,
        spec.weights_sha256,
        head=Head(classify, spec.classes),
        trained_on=tuple(sorted(trained_names(spec.training))),
        notes=notes,
    )


_Opened = tuple[Spec, Compute, Classify, tuple[str, ...]]


def _by_onnxruntime(path: Path, device: Device, threads: int | None) -> _Opened:
    # Loaded on use: few checkpoints have a graph.
    from abaw.models.exported import ExportedStatic
    from abaw.stores.exported import find_exported

    exported = find_exported(path)
    require_kind(exported.spec, "static", path)
    model = ExportedStatic(exported, device, threads)
    return exported.spec, model.features, model.classify, model.notes


def _by_torch(path: Path, device: Device) -> _Opened:
    # Loaded on use: it takes seconds, and exported models do without.
    from abaw.data.views import unit
    from abaw.extractors.torch_network import on_arrays
    from abaw.models.static import classify_arrays, load_static

    model, spec = load_static(path)
    image = image_input(spec)
    compute = on_arrays(model.to(device).features, lambda crops: image.normalise(unit(crops)), device)
    return spec, compute, classify_arrays(model), ()
