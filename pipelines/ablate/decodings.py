"""The cells of an ablation under several smoothings: their stored predictions are decoded, nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.ablate.scores import VariantCells
from pipelines.compare.cells import CellResult

if TYPE_CHECKING:
    from abaw.data.clips import Clip
    from abaw.sequence.smooth import Smoothing
    from abaw.stores.predictions import Predictions

SETTING = "smoothing"
"""The name of the column."""

FITTED = " + class bias"

Pairs = Sequence[tuple["Clip", "Predictions"]]


def require_expression_for(texts: Sequence[str], fit_bias: bool, tasks: Sequence[str]) -> None:
    """Raise ConfigError for what needs classes, when expression is not among the tasks."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.errors import ConfigError
    from abaw.sequence.smooth import needs_transitions

    if "expression" in tasks:
        return
    if fit_bias:
        raise ConfigError("--fit_bias is for expression, which --tasks does not name; leave it out")
    if any(map(needs_transitions, texts)):
        raise ConfigError(
            "viterbi and forward_backward are paths through classes, which --tasks does not name; use box, median or "
            "gaussian"
        )


def read_ablation_smoothings(texts: Sequence[str], training: Sequence[Clip]) -> list[Smoothing]:
    """The smoothings; the transitions of the passes are counted on the training clips. Raises ConfigError as
    `parse_smoothing` does, and for one that is given twice."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from statistics import median_low

    from abaw.core.errors import ConfigError
    from abaw.protocol.classes import NUM_EXPRESSIONS
    from abaw.sequence.hmm import count_transitions
    from abaw.sequence.smooth import needs_transitions, parse_smoothing

    transitions = None
    if any(map(needs_transitions, texts)):
        rates = [clip.fps for clip in training if clip.fps]
        fps = median_low(rates) if rates else None
        transitions = count_transitions((clip.labels for clip in training), NUM_EXPRESSIONS, fps=fps)
    if len(set(texts)) < len(texts):
        raise ConfigError(f"smoothing {' '.join(texts)}: expected different ones")
    return [parse_smoothing(text, transitions) for text in texts]


def decoded_variants(
    variants: Sequence[VariantCells],
    folders: Sequence[Mapping[int, Path]],
    clips: Sequence[Clip],
    smoothings: Sequence[Smoothing],
    fit_bias: bool,
) -> list[VariantCells]:
    """Every variant with every smoothing, and with a fitted class bias as well if `fit_bias`.

    A fitted bias (with WEIGHT, for a pass) is never scored on a video that it was fitted on: each video is decoded with
    the fit on the other folds of the validation videos. folders: of each variant, the predictions by seed; clips: the
    validation videos.
    """
    found = []
    for variant, folder_of in zip(variants, folders, strict=True):
        by_text: dict[str, dict[int, CellResult]] = {}
        for seed, cell in variant.cells.items():
            pairs = _read(folder_of[seed], cell, clips)
            for text, decoded in _decodings(pairs, smoothings, fit_bias).items():
                by_text.setdefault(text, {})[seed] = cell if text == "none" else _scored(cell, pairs, decoded)
        found += [
            replace(variant, values={**variant.values, SETTING: text}, cells=cells) for text, cells in by_text.items()
        ]
    return found


def _read(folder: Path, cell: CellResult, clips: Sequence[Clip]) -> Pairs:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.stores.predictions import read_predictions

    by_name = {clip.name: clip for clip in clips}
    return [(by_name[name], read_predictions(folder / f"{name}.arrow")) for name in cell.videos]


def _decodings(pairs: Pairs, smoothings: Sequence[Smoothing], fit_bias: bool) -> Mapping[str, list[Smoothing]]:
    """The smoothing of each video, by the text of the row."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.evaluation.fitted_smoothing import fit_smoothing
    from abaw.evaluation.folds import folds_by_name

    rows = {str(smoothing): [smoothing] * len(pairs) for smoothing in smoothings}
    if fit_bias:
        folds = folds_by_name({clip.name: clip.class_counts() for clip, _ in pairs})
        of_video = [folds[clip.name] for clip, _ in pairs]
        for smoothing in smoothings:
            videos = ((predictions, clip.labels[: len(predictions)]) for clip, predictions in pairs)
            _, by_fold, _ = fit_smoothing(smoothing, videos, of_video)
            rows[f"{smoothing}{FITTED}"] = [by_fold[fold] for fold in of_video]
    return rows


def _scored(cell: CellResult, pairs: Pairs, smoothings: Sequence[Smoothing]) -> CellResult:
    """The cell with the scores of its decoded predictions."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.inference.decode import decode
    from pipelines.compare.cell_scores import cell_scores

    decoded = [
        (clip, decode(predictions, smoothing)) for (clip, predictions), smoothing in zip(pairs, smoothings, strict=True)
    ]
    return replace(cell, **cell_scores(cell.tasks, decoded))
