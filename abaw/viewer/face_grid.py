"""A figure with many faces in rows, with captions and optional coloured frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from abaw.core.artifacts import atomic_path

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_TILE_INCHES = 1.0
_INK = "#1d2733"


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """One picture of the grid.

    image: (S, S, 3), 0..255; frame: colour of a frame around it, or None; caption: text below it; heat: (H, W) in 0..1,
    drawn over it, or None.
    """

    image: NDArray[np.uint8]
    frame: str | None = None
    caption: str = ""
    heat: NDArray[np.floating] | None = None


def write_grid(
    path: Path, rows: Sequence[Sequence[Tile]], heads: Sequence[str] = (), sides: Sequence[str] = (), title: str = ""
) -> None:
    """Write a PNG. rows: tiles, the same number in each; heads: titles of the columns; sides: titles of the rows."""
    # Loaded on use: matplotlib takes seconds.
    from matplotlib.figure import Figure

    width, captions = max(map(len, rows)), any(tile.caption for row in rows for tile in row)
    size = (width * _TILE_INCHES + 1.2, len(rows) * (_TILE_INCHES + 0.18 * captions) + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    if title:
        figure.suptitle(title, fontsize=9, color=_INK)
    grid = figure.subplots(len(rows), width, squeeze=False)
    for number, (axes_row, row) in enumerate(zip(grid, rows, strict=True)):
        for column, (axes, tile) in enumerate(zip(axes_row, row, strict=True)):
            axes.imshow(tile.image)
            if tile.heat is not None:
                side = tile.image.shape[0] - 0.5
                extent = (-0.5, side, side, -0.5)
                axes.imshow(
                    tile.heat, cmap="inferno", alpha=0.55, extent=extent, vmin=0, vmax=1, interpolation="bicubic"
                )
            axes.set_xticks([])
            axes.set_yticks([])
            for spine in axes.spines.values():
                spine.set_visible(tile.frame is not None)
                spine.set_color(tile.frame)
                spine.set_linewidth(3)
            if tile.caption:
                axes.set_xlabel(tile.caption, fontsize=7, color=_INK, labelpad=2)
            if number == 0 and column < len(heads):
                axes.set_title(heads[column], fontsize=8, color=_INK)
            if column == 0 and number < len(sides):
                axes.set_ylabel(sides[number], fontsize=8, color=_INK)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)
