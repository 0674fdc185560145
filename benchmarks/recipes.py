"""The paper's recipe against the recommended one: the whole chain on the demo, next to FER+ with few labels.

    abaw demo --out work/demo
    abaw pretrain --config recommended/pretrain --profile small --faces TRAIN LFW --out contrawarping
    abaw bench ssl --config bench/recipes --labelled TRAIN --scored VALID --unlabelled LFW --out work/bench
    python benchmarks/recipes.py work/demo --ferplus work/bench [--seeds 0 1 2] [--out work/recipes]

On the demo each recipe runs its phases with `--profile small`: pre-training if it has one, the static model on stills,
labelled frames and unlabelled stills, features, the temporal model, predictions, post-processing, and a checked
submission. The figures are macro F1 on the validation videos, mean ± standard deviation over the seeds of training. The
smoothing is chosen on the training videos, which the temporal model has seen; the scored ones play no part in it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import abaw
from pipelines.cli import main as command
from pipelines.recipe_files import recipe_names

RECIPES = {"paper": "paper_2403_11942", "recommended": "recommended"}
"""Name in bench/recipes -> folder of the recipe."""
PROFILE = "small"


@dataclass(frozen=True)
class Chain:
    """Scores of one recipe and seed, macro F1 on the validation videos. minutes: of processor time."""

    static: float
    temporal: float
    smoothed: float
    minutes: float


def main(words: Sequence[str] | None = None) -> str:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("demo", type=Path, help="folder of a finished `abaw demo`")
    parser.add_argument("--ferplus", type=Path, help="folder of a finished `abaw bench ssl --config bench/recipes`")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of training")
    parser.add_argument("--out", type=Path, default=Path("work/recipes"))
    parser.add_argument("--steps", type=int, help="of every training, instead of the profile's: to try the script out")
    given = parser.parse_args(words)
    unlabelled = given.out / "unlabelled"
    pictures = given.demo / "data" / "stills" / "unlabelled"
    images = ["--dataset", "unlabelled", "--root", str(pictures), "--out", str(unlabelled), "--detector", "builtin"]
    if command(["import-images", *images]):
        raise SystemExit(f"{pictures}: cannot be imported")
    chains = {
        name: [run_chain(folder, given.demo, unlabelled, given.out / name, seed, given.steps) for seed in given.seeds]
        for name, folder in RECIPES.items()
    }
    table = markdown(chains, None if given.ferplus is None else ferplus_cells(given.ferplus))
    (given.out / "recipes.md").write_text(table)
    print(table)
    return table


def run_chain(recipe: str, demo: Path, unlabelled: Path, out: Path, seed: int, steps: int | None) -> Chain:
    """All phases of a recipe on the demo; what is finished is kept."""
    out = out / f"seed{seed}"
    result = out / "scores.json"
    if not result.exists():
        begun = time.process_time()
        scores = _phases(recipe, demo, unlabelled, out, {"seed": seed, **_shortened(steps)})
        result.write_text(json.dumps({**scores, "minutes": (time.process_time() - begun) / 60}))
    return Chain(**json.loads(result.read_text()))


def _shortened(steps: int | None) -> dict[str, int]:
    return {} if steps is None else {"steps": steps, "warmup_steps": 0, "evaluate_every": steps}


def _phases(recipe: str, demo: Path, unlabelled: Path, out: Path, train: Mapping[str, int]) -> dict[str, float]:
    annotations, stills = demo / "data" / "annotations", demo / "stills"
    init: dict[str, Any] = {}
    if f"{recipe}/pretrain" in recipe_names():
        flags = [
            word for key, value in train.items() if key != "evaluate_every" for word in (f"--train.{key}", str(value))
        ]
        faces = ["--faces", str(unlabelled), str(stills), "--out", str(out / "backbone"), *flags]
        if command(["pretrain", "--config", f"{recipe}/pretrain", "--profile", PROFILE, *faces]):
            raise SystemExit(f"{recipe}: pre-training failed")
        init = {"init": out / "backbone" / "last"}
    warm = {"warm_start_steps": train["steps"]} if "steps" in train else {}
    static = abaw.train_static(
        config=f"{recipe}/static",
        profile=PROFILE,
        labelled=[stills],
        videos=demo / "faces",
        annotations=annotations,
        unlabelled=[unlabelled],
        out=out / "static",
        train=train,
        **init,
        **warm,
    )
    features = out / "features"
    abaw.features(faces=[demo / "faces"], checkpoint=static.checkpoint, out=features, accelerator="cpu")
    temporal = abaw.train_temporal(
        config=f"{recipe}/temporal",
        profile=PROFILE,
        features=[features],
        annotations=annotations,
        out=out / "temporal",
        train=train,
    )
    for name, checkpoint in (("frames", static.checkpoint), ("predictions", temporal.checkpoint)):
        abaw.predict(features=[features], checkpoint=[checkpoint], out=out / name)
    smoothing = _chosen_smoothing(recipe, out, annotations)
    scores = {
        "static": _score(out, "frames", annotations, "none"),
        "temporal": _score(out, "predictions", annotations, "none"),
        "smoothed": _score(out, "predictions", annotations, smoothing),
    }
    template = next((demo / "data").glob("*test_set_example.txt"))
    abaw.submit(predictions=out / "predictions", template=template, out=out / "predictions.txt", smoothing=smoothing)
    return scores


def _chosen_smoothing(recipe: str, out: Path, annotations: Path) -> str:
    """The smoothing.json of a report on the training videos."""
    passes = {"transitions": annotations} if recipe == RECIPES["recommended"] else {}
    report = out / "report_train"
    abaw.validate(
        config=f"{recipe}/validate",
        predictions=[out / "predictions"],
        annotations=annotations,
        split="train",
        draws=100,
        out=report,
        **passes,
    )
    return str(report / "smoothing.json")


def _score(out: Path, name: str, annotations: Path, smoothing: str) -> float:
    folder = out / f"report_{name}_{Path(smoothing).stem}"
    report = abaw.validate(
        predictions=[out / name], annotations=annotations, smoothing=[smoothing], draws=100, out=folder
    )
    (found,) = report.numbers["results"]
    return float(found["macro_f1"])


def ferplus_cells(bench: Path) -> dict[str, list[tuple[float, float]]]:
    """Macro F1 and accuracy of the last checkpoints, by entry, one pair per seed."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in json.loads((bench / "bench.json").read_text())["cells"]:
        found.setdefault(row["entry"], []).append((float(row["last_macro_f1"]), float(row["last_accuracy"])))
    return found


def markdown(chains: Mapping[str, Sequence[Chain]], ferplus: Mapping[str, Sequence[tuple[float, float]]] | None) -> str:
    """One row per recipe, macro F1 × 100 and accuracy × 100."""
    heads = ["recipe", "demo: single frames", "temporal model", "post-processed", "processor minutes"]
    heads += ["FER+: macro F1", "accuracy"] if ferplus else []
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for name in dict.fromkeys([*chains, *(ferplus or {})]):
        runs = chains.get(name, ())
        columns = [[100 * getattr(run, key) for run in runs] for key in ("static", "temporal", "smoothed")]
        columns += [[run.minutes for run in runs]]
        if ferplus:
            cells = ferplus.get(name, ())
            columns += [[100 * pair[place] for pair in cells] for place in (0, 1)]
        lines.append(f"| {name} | {' | '.join(map(spread, columns))} |")
    return "\n".join([*lines, ""])


def spread(values: Sequence[float]) -> str:
    """Mean ± standard deviation, of one value the value, of none nothing."""
    if not values:
        return ""
    return f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
