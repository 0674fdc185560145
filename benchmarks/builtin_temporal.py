"""Does a temporal model after the built-in static model beat plain smoothing? Also trains the one that ships.

    python benchmarks/builtin_temporal.py --data ferplus.zip --work DIR --seeds 0 1 2

It uses flip-book clips (docs/flipbook.md) of photos that the built-in static model has not seen: FER+ `valid` without
copies of `train`. Each seed splits these photos by class: half for the training clips, 15 % for the tuning clips, 35 %
for the scored clips. No photo is in two parts, even if cropped or lit differently. Classes are as frequent as in FER+
`train`. Finished parts stay in `--work`, and an interrupted run resumes from there.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from flipbook import RECIPE, comparisons, make_clips, temporal_run
from flipbook_clips import Book
from flipbook_compare import GRIDS, Score
from flipbook_stills import Still, Stills, apart, read_stills

from abaw.protocol.classes import NUM_EXPRESSIONS
from abaw.training.temporal_recipe import recipe_of
from abaw.weights import builtin

PARTS = (0.5, 0.15)
"""Shares of each class for the training and the tuning clips; the rest is for the scored clips."""
COUNTS = {"train": 30, "tuning": 10, "scored": 24}
PLAIN = "gaussian:12"
"""The smoothing of `abaw predict-video` without a temporal model."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="ferplus.zip: images and votes.csv")
    parser.add_argument("--work", type=Path, required=True, help="folder for features and models")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    # The built-in model was trained on the whole of `train`: no photo of it may be in a clip.
    photos = read_stills(arguments.data, (0.0, 0.0))
    shares = np.bincount([still.label for still in photos.static], minlength=NUM_EXPRESSIONS).tolist()
    print(f"{len(photos.scored)} photos; class shares of the frames {shares}")
    by_seed = []
    for seed in arguments.seeds:
        stills = split(photos.scored, seed)
        folder = make_clips(stills, builtin("static"), arguments.work, Book(), COUNTS, seed, shares)
        recipe = recipe_of(RECIPE, seed)
        static, temporal = comparisons(folder, builtin("static"), recipe)
        options = ["none", *(text for grid in GRIDS.values() for text in grid)]
        by_seed.append(
            {
                "static": static.plain(),
                f"static, {PLAIN}": static.plain(PLAIN),
                "static, chosen smoothing": static.chosen(options),
                "temporal": temporal.plain(),
                f"temporal, {PLAIN}": temporal.plain(PLAIN),
                "temporal, chosen smoothing": temporal.chosen(options),
            }
        )
        print(f"seed {seed}: {temporal_run(folder, recipe) / 'last'}")
    print(table(by_seed))


def split(stills: Sequence[Still], seed: int) -> Stills:
    """Split the photos class by class; the part for a static model stays empty."""
    rng = np.random.default_rng([seed, 7])
    parts: list[list[Still]] = [[], [], []]
    for label in range(NUM_EXPRESSIONS):
        members = [still for still in stills if still.label == label]
        order = rng.permutation(len(members))
        ends = np.round(np.cumsum([*PARTS, 1 - sum(PARTS)]) * len(members)).astype(int)
        for part, rows in zip(parts, np.split(order, ends[:-1]), strict=True):
            part += [members[row] for row in rows]
    return Stills([], *apart(parts))


def table(by_seed: Sequence[Mapping[str, Score]]) -> str:
    """Markdown table: mean and deviation over the seeds, and the difference from plain smoothing with its minimum."""
    reference = f"static, {PLAIN}"
    lines = [
        "| | macro F1, % | difference from plain smoothing | accuracy, % | difference | smoothing |",
        "|---|" + "---|" * 5,
    ]
    for name in by_seed[0]:
        columns = []
        for kind in ("macro_f1", "accuracy"):
            values, others = (np.array([100 * getattr(row[key], kind) for row in by_seed]) for key in (name, reference))
            columns.append(f"{values.mean():.1f} ± {values.std():.1f}")
            columns.append(f"{(values - others).mean():+.1f} ({(values - others).min():+.1f})")
        lines.append(f"| {name} | {' | '.join(columns)} | {', '.join(row[name].smoothing for row in by_seed)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
