"""Figures of a validation as PNG bytes, drawn without matplotlib's global state."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from abaw.evaluation.calibration import Calibration

_INK = "#1d2733"
# A small size in inches gives large letters: the figures are also read on a phone.
_SIZE = (4.6, 4.4)


def confusion_png(confusion: NDArray[np.int64], classes: Sequence[str], title: str) -> bytes:
    """A confusion matrix; fields show their share of the row in percent. confusion: (C, C) counts, rows annotated."""
    totals = confusion.sum(axis=1, keepdims=True)
    share = confusion / np.maximum(totals, 1)
    figure = Figure(figsize=_SIZE, dpi=220, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(share, cmap="YlGnBu", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(share):
        if totals[row, 0]:
            colour = "white" if value > 0.55 else _INK
            axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", color=colour, fontsize=9)
    ticks = range(len(classes))
    axes.set_xticks(ticks, classes, rotation=40, ha="right", rotation_mode="anchor", color=_INK)
    axes.set_yticks(
        ticks, [f"{name}\n{int(total):,}" for name, total in zip(classes, totals[:, 0], strict=True)], color=_INK
    )
    axes.set_xlabel("predicted", color=_INK)
    axes.set_ylabel("annotated (frames)", color=_INK)
    axes.set_title(title, color=_INK, fontsize=10)
    axes.tick_params(length=0, labelsize=8)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return _png(figure)


def calibration_png(calibration: Calibration, title: str) -> bytes:
    """Accuracy against confidence, by bins, and below it the share of frames in each bin."""
    edges = np.linspace(0, 1, len(calibration.frames) + 1)
    held = calibration.frames > 0
    frames = calibration.frames[held]
    confidence, accuracy = calibration.confidence[held] / frames, calibration.hits[held] / frames
    figure = Figure(figsize=_SIZE, dpi=220, layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    axes.plot([0, 1], [0, 1], color="#8a96a3", linestyle="--", linewidth=1.5, label="as sure as right")
    axes.plot(confidence, accuracy, color="#1f7a8c", marker="o", linewidth=2, label="this model")
    axes.set_ylabel("share that is right", color=_INK)
    axes.set_ylim(0, 1)
    axes.set_title(title, color=_INK, fontsize=10)
    axes.legend(frameon=False, loc="upper left")
    below.bar(edges[:-1], calibration.frames / frames.sum(), np.diff(edges), align="edge", color="#9fc9d2")
    below.set_xlim(0, 1)
    below.set_xlabel("confidence: the highest probability of a frame", color=_INK)
    below.set_ylabel("share of frames", color=_INK)
    for one in (axes, below):
        one.spines[["top", "right"]].set_visible(False)
    return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    # Without the software's version, equal figures give equal bytes.
    figure.savefig(buffer, format="png", metadata={"Software": ""})
    return buffer.getvalue()
