"""Make the temporal model that follows a static model, and say whether it is worth using.

    python benchmarks/builtin_temporal.py --data ferplus.zip --work DIR [--static DIR] [--out abaw/weights/temporal]

A temporal model takes the logits of one static model. Run this for every new one: it makes clips with its outputs,
trains, compares, and writes the model of the first seed to `--out`. Finished parts stay in `--work`, and an interrupted
run resumes from there. Then run choose_smoothing.py, which chooses the default of `abaw predict-video`.

**Photos.** FER+ `valid` without copies of `train`, on which the static model was trained. Each seed splits them by
class: half for the training clips, 15 % for the tuning clips, 35 % for the scored clips and the held stills. No photo
is in two parts, even if cropped or lit differently.

**Clips.** The training clips are made of logits (logit_clips.py). The tuning and the scored clips are lifelike flip-
book clips (lifelike_clips.py); classes are as frequent as in FER+ `train`. Everything that decodes is chosen on the
tuning clips: for each model none, Gaussian, Viterbi and forward-backward, each with its width or WEIGHT and a class
bias, in the evidence for the two passes.

**Rule**, written before anything was scored. The temporal model *wins* if, with its decoding, its macro F1 on the
scored clips is at least 2 points above that of the best decoding without it on average over the seeds, not below it on
any seed, and it is steady on held stills (held_stills.py): accuracy within 1 point of the static model's, at most 2 %
of the frames with another class than most of their clip. Otherwise decoding alone is recommended. The settings of its
training (flipbook.py, `RECIPE`) are chosen on tuning clips, never on scored ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from flipbook import LOGIT_CLIPS, RECIPE, comparisons, make_clips, temporal_run
from flipbook_compare import Score
from flipbook_stills import Stills, read_stills, split_valid
from held_stills import Steadiness, chosen, steadiness
from lifelike_clips import Life
from logit_clips import logit_clips, see
from ship_weights import write

from abaw.inference.members import load_member
from abaw.protocol.classes import NUM_EXPRESSIONS
from abaw.sequence.smooth import Smoothing
from abaw.training.temporal_recipe import recipe_of
from abaw.weights import resolve_checkpoint

COUNTS = {"train": 0, "tuning": 12, "scored": 18}
"""Flip-book clips per seed."""
GAIN = 0.02
"""Macro F1 by which the temporal model must be better on average."""
REFERENCE, WITH_MODEL = "static, chosen decoding", "temporal, chosen decoding"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one seed. checkpoint: the temporal model; scores: rows of the table; held: of the model without smoothing."""

    checkpoint: Path
    scores: Mapping[str, Score]
    held: Steadiness


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="ferplus.zip: images and votes.csv")
    parser.add_argument("--work", type=Path, required=True, help="folder for clips and models")
    parser.add_argument("--static", type=Path, default=Path("builtin"), help="folder of a static checkpoint")
    parser.add_argument("--out", type=Path, help="folder for the temporal model of the first seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    static = resolve_checkpoint(arguments.static, "static")
    # The static model was trained on the whole of `train`: no photo of it may be in a clip.
    photos = read_stills(arguments.data, (0.0, 0.0))
    shares = np.bincount([still.label for still in photos.static], minlength=NUM_EXPRESSIONS).tolist()
    print(f"{len(photos.scored)} photos; class shares of the frames {shares}", flush=True)
    outcomes = []
    for seed in arguments.seeds:
        outcomes.append(one_seed(split_valid(photos.scored, seed), static, shares, arguments.work, seed))
        scores = ", ".join(f"{name} {score.macro_f1:.3f}" for name, score in outcomes[-1].scores.items())
        print(f"seed {seed}: {scores}\n    {outcomes[-1].held}", flush=True)
    print(table([outcome.scores for outcome in outcomes]))
    print(verdict(outcomes))
    if arguments.out is not None:
        write(outcomes[0].checkpoint, arguments.out, ())
        print(f"{arguments.out}: the temporal model of seed {arguments.seeds[0]}")


def one_seed(stills: Stills, static: Path, shares: Sequence[float], work: Path, seed: int) -> Outcome:
    folder = make_clips(stills, static, work, Life(), COUNTS, seed, shares)
    training = logit_clips(see(static, stills.train, LOGIT_CLIPS, work), shares, LOGIT_CLIPS, seed)
    recipe = recipe_of(RECIPE, seed)
    frames, temporal = comparisons(folder, static, recipe, training)
    last = temporal_run(folder, recipe, training) / "last"
    scores = {
        "static": frames.plain(),
        REFERENCE: frames.decoded(),
        "temporal": temporal.plain(),
        WITH_MODEL: temporal.decoded(),
    }
    member = load_member(last, "cpu")
    return Outcome(last, scores, steadiness(chosen(stills.scored, seed), static, member, Smoothing()))


def verdict(outcomes: Sequence[Outcome]) -> str:
    """The rule of the module."""
    gains = [each.scores[WITH_MODEL].macro_f1 - each.scores[REFERENCE].macro_f1 for each in outcomes]
    steady = all(outcome.held.steady for outcome in outcomes)
    wins = steady and float(np.mean(gains)) >= GAIN and min(gains) >= 0
    return (
        f"temporal model against decoding alone: {100 * float(np.mean(gains)):+.1f} points of macro F1 on average, at "
        f"least {100 * min(gains):+.1f}; {'steady' if steady else 'not steady'} on held stills: "
        f"{'it wins' if wins else 'decoding alone wins'}"
    )


def table(by_seed: Sequence[Mapping[str, Score]]) -> str:
    """Markdown table: mean and deviation over the seeds, and the difference from decoding alone with its minimum."""
    lines = ["| | macro F1, % | difference | accuracy, % | difference | smoothing |", "|---|" + "---|" * 5]
    for name in by_seed[0]:
        columns = []
        for kind in ("macro_f1", "accuracy"):
            values, others = (np.array([100 * getattr(row[key], kind) for row in by_seed]) for key in (name, REFERENCE))
            columns.append(f"{values.mean():.1f} ± {values.std():.1f}")
            columns.append(f"{(values - others).mean():+.1f} ({(values - others).min():+.1f})")
        lines.append(f"| {name} | {' | '.join(columns)} | {', '.join(row[name].smoothing for row in by_seed)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
