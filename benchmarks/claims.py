"""A verdict per claim, from the cells of `abaw bench ssl --config bench/claims`.

    python benchmarks/claims.py RUN

Each claim is a difference of macro F1 on the scored faces between two entries that differ in one thing, paired by the
portion of the labels, the unlabelled faces, and the seed. The rule, written before the run: with d the mean of the
differences and e half of its 95 % interval (Student's t over the pairs),

- borne out: d - e > 0;
- not borne out: d + e < 1 point, a gain that would be worth having;
- cannot be decided at this scale: neither.

The pairs of a seed share its labels and its warm start, so the interval is a little too narrow. What is changed about
the experts (their number, how many are used, the gate, the balance) has three pairs each and no verdict of its own.
Accuracy is shown, but decides nothing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from recipes import spread
from scipy.stats import t as student

WORTH = 1.0
"""Points of macro F1."""
_ELSEWHERE = "_elsewhere"

Cells = Mapping[tuple[str, str, str], tuple[float, float]]
"""(entry, portion, seed) -> macro F1 and accuracy, in points."""


@dataclass(frozen=True)
class Claim:
    """What is claimed; pairs of entries: the first is claimed to be better. decided: whether it gets a verdict."""

    text: str
    pairs: tuple[tuple[str, str], ...]
    decided: bool = True


def _both_kinds(ours: str, theirs: str) -> tuple[tuple[str, str], ...]:
    return (ours, theirs), (ours + _ELSEWHERE, theirs + _ELSEWHERE)


CLAIMS = (
    Claim("LEAF: experts", _both_kinds("leaf", "leaf_no_experts")),
    Claim("2 experts instead of 8", (("leaf_2_experts", "leaf"),), decided=False),
    Claim("top 1 instead of top 2", (("leaf_top_1", "leaf"),), decided=False),
    Claim("gate temperature .25 instead of 1", (("leaf_sharp_gate", "leaf"),), decided=False),
    Claim("no load balancing", (("leaf_no_balance", "leaf"),), decided=False),
    Claim("SNL: negatives", _both_kinds("dta_snl", "dta_snl_no_negatives")),
    Claim(
        "unlabelled faces of the same kind, not from elsewhere",
        tuple((name, name + _ELSEWHERE) for name in ("leaf", "leaf_no_experts", "dta_snl", "dta_snl_no_negatives")),
    ),
    Claim("LEAF against labels alone", (("leaf", "supervised"),)),
    Claim("DTA+SNL against labels alone", (("dta_snl", "supervised"),)),
)


def main(words: Sequence[str] | None = None) -> str:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("run", type=Path, help="folder of `abaw bench ssl --config bench/claims`")
    cells = read_cells(parser.parse_args(words).run)
    table = f"{_scores(cells)}\n{_verdicts(cells)}"
    print(table)
    return table


def read_cells(run: Path) -> Cells:
    """The last checkpoints of all finished cells."""
    found = {}
    for file in sorted(run.glob("cells/*/cell.json")):
        entry, portion, seed = file.parent.name.split(",")
        last = json.loads(file.read_text())["last"]
        found[entry, portion, seed] = (100 * last["macro_f1"], 100 * last["accuracy"])
    return found


def differences(cells: Cells, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[float, float]]:
    """Ours minus theirs, macro F1 and accuracy, for every portion and seed that both entries have."""
    for ours, theirs in pairs:
        for (entry, portion, seed), scores in cells.items():
            other = cells.get((theirs, portion, seed))
            if entry == ours and other is not None:
                yield scores[0] - other[0], scores[1] - other[1]


def verdict(gains: Sequence[float]) -> str:
    """By the rule above. gains: in points, at least two."""
    middle, error = mean(gains), stdev(gains) / len(gains) ** 0.5
    reach = error * float(student.ppf(0.975, len(gains) - 1))
    if middle - reach > 0:
        return "borne out"
    return "not borne out" if middle + reach < WORTH else "cannot be decided at this scale"


def _scores(cells: Cells) -> str:
    portions = sorted({portion for _, portion, _ in cells})
    heads = [f"{portion}: {name}" for portion in portions for name in ("macro F1", "accuracy")]
    lines = [f"| {' | '.join(['entry', *heads])} |", "|---" * (len(heads) + 1) + "|"]
    for name in dict.fromkeys(entry for entry, _, _ in cells):
        texts = []
        for portion in portions:
            mine = [scores for (entry, part, _), scores in cells.items() if (entry, part) == (name, portion)]
            texts += [spread([each[place] for each in mine]) for place in (0, 1)]
        lines.append(f"| {' | '.join([f'`{name}`', *texts])} |")
    return "\n".join([*lines, ""])


def _verdicts(cells: Cells) -> str:
    lines = ["| claim | pairs | macro F1 | accuracy | verdict |", "|---|---|---|---|---|"]
    for claim in CLAIMS:
        found = list(differences(cells, claim.pairs))
        if len(found) < 2:
            continue
        macro_f1, accuracy = ([pair[place] for pair in found] for place in (0, 1))
        text = verdict(macro_f1) if claim.decided else ""
        lines.append(f"| {claim.text} | {len(found)} | {_gain(macro_f1)} | {_gain(accuracy)} | {text} |")
    return "\n".join([*lines, ""])


def _gain(values: Sequence[float]) -> str:
    """Mean ± standard error of the mean."""
    return f"{mean(values):+.1f} ± {stdev(values) / len(values) ** 0.5:.1f}"


if __name__ == "__main__":
    main()
