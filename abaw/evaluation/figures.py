"""Figures of a validation, as PNG bytes: drawn on a canvas of their own, without matplotlib's global state."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

_INK = "#1d2733"


def confusion_png(confusion: NDArray[np.int64], classes: Sequence[str], title: str) -> bytes:
    """A confusion matrix, (C, C) counts, rows annotated: each cell says and shows its share of the row in percent."""
    totals = confusion.sum(axis=1, keepdims=True)
    share = confusion / np.maximum(totals, 1)
    figure = Figure(figsize=(6.8, 6.2), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(share, cmap="YlGnBu", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(share):
        if totals[row, 0]:
            colour = "white" if value > 0.55 else _INK
            axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", color=colour, fontsize=10)
    ticks = range(len(classes))
    axes.set_xticks(ticks, classes, rotation=40, ha="right", rotation_mode="anchor", color=_INK)
    axes.set_yticks(
        ticks, [f"{name}\n{int(total):,}" for name, total in zip(classes, totals[:, 0], strict=True)], color=_INK
    )
    axes.set_xlabel("predicted", color=_INK)
    axes.set_ylabel("annotated (frames)", color=_INK)
    axes.set_title(title, color=_INK, fontsize=11)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    # Without the software's version the same figure gives the same bytes.
    figure.savefig(buffer, format="png", metadata={"Software": ""})
    return buffer.getvalue()
