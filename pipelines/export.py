"""`abaw export`: checkpoint -> one ONNX file that predicts without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from abaw.core.config import differences
from abaw.core.errors import DataError
from abaw.core.text import listed
from abaw.stores.spec import EXPORTED, is_exported, load_spec
from abaw.weights import NAME, resolve_checkpoint
from pipelines.console import result
from pipelines.inputs import CheckpointPath


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """Write a static or temporal checkpoint as an ONNX file, compared with torch, that predicts without torch.

    `features`, `predict`, `predict-video` and `live` take the file in place of the checkpoint.

    Args:
        checkpoint: folder of a static or temporal checkpoint, or builtin, the static one of the package
        out: the file; by default next to the folder, with its name. An existing file of the same weights is kept
        format: onnx is the only one

    Examples:
        abaw export --checkpoint runs/temporal/last --out temporal.onnx
        abaw export --checkpoint builtin --out static.onnx
    """

    checkpoint: CheckpointPath
    out: Path | None = None
    format: Literal["onnx"] = "onnx"


def run(config: ExportConfig) -> int:
    if is_exported(config.checkpoint):
        raise DataError(f"{config.checkpoint}: is exported already; give the folder of a checkpoint")
    folder = resolve_checkpoint(config.checkpoint, "static")
    out = config.out or _beside(config.checkpoint)
    if out.suffix != EXPORTED:
        raise DataError(f"{out}: expected a name that ends in {EXPORTED}; give another --out")
    if out.exists():
        _require_same(out, folder)
        result(f"{out}: exists already")
        return 0
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.inference.export import export_onnx

    report = export_onnx(folder, out)
    megabytes = out.stat().st_size / 1e6
    result(
        f"{out}: {report.spec.kind} model {report.spec.weights_id}, {megabytes:.1f} MB; it differs from torch "
        f"by at most {report.difference:.1g}"
    )
    return 0


def _beside(checkpoint: Path) -> Path:
    """`RUN/last` -> `RUN/last.onnx`; that of builtin is in the current folder."""
    return Path(NAME + EXPORTED) if checkpoint == Path(NAME) else checkpoint.with_name(checkpoint.name + EXPORTED)


def _require_same(file: Path, folder: Path) -> None:
    """Raise DataError for an existing file that does not hold the weights of the checkpoint."""
    found, wanted = load_spec(file), load_spec(folder)
    if found.weights_sha256 != wanted.weights_sha256:
        raise DataError(
            f"{file}: exists, with the weights {found.weights_id} instead of {wanted.weights_id}; choose another --out "
            "or remove it"
        )
    changed = differences(found.input, wanted.input)
    if changed:
        raise DataError(f"{file}: exists, with another input ({listed(changed)}); choose another --out or remove it")
