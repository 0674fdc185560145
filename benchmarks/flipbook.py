"""Flip-book: compare filters and the temporal model on clips with known labels, made of FER+ stills.

    python benchmarks/flipbook.py --data ferplus.zip --work DIR --seeds 0 1 2 --json FILE

Finished parts stay in `--work`, and an interrupted run resumes from there. docs/flipbook.md says what it measures.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flipbook_clips import CLASS_FRAMES, FPS, Book, maker, write_clips
from flipbook_compare import Comparison, Score, Videos, compare_filters, compare_temporal
from flipbook_stills import Stills, read_stills, train_static_model
from lifelike_clips import Life, life_maker
from logit_clips import LogitClips, logit_clips, see
from numpy.typing import NDArray

from abaw.core.artifacts import value_hash, write_text
from abaw.core.config import to_plain
from abaw.data.clips import Clip, ClipSet
from abaw.inference.members import load_member
from abaw.models.sizes import TransformerSize
from abaw.protocol.classes import EXPRESSION_CLASSES, NUM_EXPRESSIONS
from abaw.sequence.hmm import count_transitions
from abaw.sequence.windows import Windows
from abaw.stores.predictions import Predictions
from abaw.stores.spec import Spec, load_spec
from abaw.training.sequence_settings import SequenceLearning
from abaw.training.settings import TrainSettings
from abaw.training.temporal import train_temporal
from abaw.training.temporal_recipe import TemporalRecipe, recipe_of
from pipelines.features import FeaturesConfig
from pipelines.features import run as make_features
from pipelines.train_temporal import read_split

SPLITS = {"train": "Train_Set", "tuning": "Train_Set", "scored": "Validation_Set"}
"""The parts of the clips, and the split whose class shares each part has."""
SHARES = (0.3, 0.1)
"""Shares of each class of FER+ `train` for the training clips and for the tuning clips."""
LOGITS = "logits"
"""The folder of the static model's outputs, which are all that is kept of a clip."""
RECIPE = TemporalRecipe(
    holdout=0,
    model=TransformerSize(layers=1, heads=4, width=32, dropout=0.2, tcn=5, start="log_probs"),
    learn=SequenceLearning(
        batch_size=16, sampling="frame", balance="none", label_smoothing=0.05, feature_noise=0.1, time_mask=0.05
    ),
    train=TrainSettings(
        steps=300, lr=3e-3, warmup_steps=30, ema_decay=0.98, evaluate_every=300, checkpoint_every=300, accelerator="cpu"
    ),
)
"""Chosen on tuning clips, never on scored ones."""
WINDOWS = Windows(300, 200)
LOGIT_CLIPS = LogitClips()
"""The clips that train the temporal model."""
KINDS: Mapping[str, Book | Life] = {"lifelike": Life(), "stills": Book()}
"""Kinds of clips: see lifelike_clips.py and flipbook_clips.py."""


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    begun = time.perf_counter()
    stills = read_stills(arguments.data, SHARES)
    static = train_static_model(stills.static, arguments.work, arguments.static_steps)
    counts = {"train": arguments.train_clips, "tuning": arguments.tuning_clips, "scored": arguments.scored_clips}
    seen = see(static, stills.train, LOGIT_CLIPS, arguments.work)
    plain = {}
    for kind in arguments.clips:
        by_seed = []
        for seed in arguments.seeds:
            folder = make_clips(stills, static, arguments.work, KINDS[kind], counts, seed)
            training = logit_clips(seen, CLASS_FRAMES[SPLITS["train"]], LOGIT_CLIPS, seed)
            by_seed.append(compare(folder, static, recipe_of(RECIPE, seed), training))
            scores = ", ".join(f"{name} {score.macro_f1:.3f}" for name, score in by_seed[-1].items())
            print(f"{kind}, seed {seed}: {scores}", flush=True)
        print(f"\n{kind}:\n\n{table(by_seed)}\n")
        plain[kind] = _plain(by_seed, arguments.seeds)
    print(f"{time.perf_counter() - begun:.0f} s")
    if arguments.json is not None:
        write_text(arguments.json, json.dumps(plain, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="ferplus.zip: images and votes.csv")
    parser.add_argument("--work", type=Path, required=True, help="folder for models and features")
    parser.add_argument("--clips", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--json", type=Path, help="also write the scores here")
    parser.add_argument("--static_steps", type=int, default=5000)
    parser.add_argument("--train_clips", type=int, default=60)
    parser.add_argument("--tuning_clips", type=int, default=20)
    parser.add_argument("--scored_clips", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def make_clips(
    stills: Stills,
    static: Path,
    work: Path,
    book: Book | Life,
    counts: Mapping[str, int],
    seed: int,
    shares: Sequence[float] | None = None,
) -> Path:
    """Make logits and labels of the clips of one seed, once; returns their folder. Crops are not kept.

    counts: clips per part; shares: class shares of the frames, None for those of Aff-Wild2.
    """
    drawn_from = {part: [still.name for still in getattr(stills, part)] for part in SPLITS}
    weights = load_spec(static).weights_id
    what = {"book": asdict(book), "counts": dict(counts), "static": weights, "stills": drawn_from}
    made_of = value_hash(what if shares is None else {**what, "shares": list(shares)})
    folder = work / f"clips-{made_of}" / f"seed{seed}"
    done = folder / "done"
    if done.exists():
        return folder
    for index, (part, split) in enumerate(SPLITS.items()):
        if not counts[part]:
            continue
        rng = np.random.default_rng([seed, index])
        make = (life_maker if isinstance(book, Life) else maker)(getattr(stills, part), book)
        paths = write_clips(folder / part, split, counts[part], make, rng, shares)
        config = FeaturesConfig(
            faces=tuple(paths), checkpoint=str(static), out=folder / part / LOGITS, outputs="logits", accelerator="cpu"
        )
        if make_features(config):
            raise SystemExit(f"{config.out}: the features of some clips could not be made")
        shutil.rmtree(folder / part / "faces")
    done.touch()
    return folder


def compare(folder: Path, static: Path, recipe: TemporalRecipe, training: ClipSet) -> dict[str, Score]:
    """Train the temporal model on `training`, and score everything on the scored clips of `folder`."""
    static_model, temporal = comparisons(folder, static, recipe, training)
    return {**compare_filters(static_model), **compare_temporal(temporal)}


def comparisons(folder: Path, static: Path, recipe: TemporalRecipe, training: ClipSet) -> tuple[Comparison, Comparison]:
    """Comparisons of the static and of the temporal model; trains the latter.

    The static model has seen neither the training nor the tuning clips, and chooses on both; the temporal model has
    learned from the stills of the former. Transitions are counted on the training clips, or the tuning clips if there
    are none.
    """
    last = temporal_run(folder, recipe, training) / "last"
    train_temporal(training, WINDOWS, recipe, last.parent)
    parts = {part: read(folder, part) for part in SPLITS if (folder / part).is_dir()}
    tuning = [part for part in ("train", "tuning") if part in parts]
    transitions = count_transitions([clip.labels for clip in parts[tuning[0]]], NUM_EXPRESSIONS, fps=FPS)
    return (
        Comparison(
            framewise([clip for part in tuning for clip in parts[part]], static),
            framewise(parts["scored"], static),
            transitions,
        ),
        Comparison(temporal_videos(parts["tuning"], last), temporal_videos(parts["scored"], last), transitions),
    )


def temporal_run(folder: Path, recipe: TemporalRecipe, training: ClipSet) -> Path:
    """The run folder of the temporal model of these clips."""
    made_of = {"recipe": to_plain(recipe), "windows": asdict(WINDOWS), "clips": training.fingerprint()}
    return folder / f"temporal-{value_hash({**made_of, 'of': training.backbone})}"


def read(folder: Path, part: str) -> Sequence[Clip]:
    """The clips of a part: their logits and labels."""
    return read_split([folder / part / LOGITS], folder / part / "annotations", SPLITS[part]).clips


def framewise(clips: Sequence[Clip], static: Path) -> Videos:
    """The static model's predictions, frame by frame."""
    probs = [torch.from_numpy(clip.features[:]).float().softmax(-1).numpy() for clip in clips]
    return _videos(clips, probs, [clip.face for clip in clips], load_spec(static))


def temporal_videos(clips: Sequence[Clip], checkpoint: Path) -> Videos:
    """The temporal model's predictions."""
    member = load_member(checkpoint, "cpu")
    outputs = [member.outputs(clip.features[:], clip.present) for clip in clips]
    probs = [each.probs for each in outputs if each.probs is not None]
    return _videos(clips, probs, [each.predicted for each in outputs], member.spec)


def _videos(
    clips: Sequence[Clip],
    probs: Sequence[NDArray[np.float32]],
    predicted: Sequence[NDArray[np.bool_]],
    spec: Spec,
) -> Videos:
    facts = {"fps": FPS, "class_shares": None if spec.class_shares is None else list(spec.class_shares)}
    predictions = [
        Predictions(
            clip.name, EXPRESSION_CLASSES, np.arange(1, len(clip) + 1, dtype=np.int32), clip.face, known, values, facts
        )
        for clip, known, values in zip(clips, predicted, probs, strict=True)
    ]
    return Videos(predictions, [clip.labels for clip in clips])


def table(by_seed: Sequence[Mapping[str, Score]]) -> str:
    """Markdown: mean and deviation of macro F1 over the seeds; each row's difference from static and the best filter.

    The best filter of a seed is the highest of all without a bias, its width chosen in hindsight.
    """
    scores = {name: np.array([100 * row[name].macro_f1 for row in by_seed]) for name in by_seed[0]}
    filters = np.max([values for name, values in scores.items() if name.endswith("hindsight")], axis=0)
    lines = ["| | macro F1, % | above static | above the best filter | smoothing |", "|---|---|---|---|---|"]
    for name, values in scores.items():
        columns = [f"{values.mean():.1f} ± {values.std():.1f}"]
        for other in (scores["static"], filters):
            columns.append(f"{(values - other).mean():+.1f} ({(values - other).min():+.1f})")
        used = ", ".join(row[name].smoothing for row in by_seed)
        lines.append(f"| {name} | {' | '.join(columns)} | {used} |")
    return "\n".join(lines)


def _plain(by_seed: Sequence[Mapping[str, Score]], seeds: Sequence[int]) -> dict[str, Any]:
    return {
        str(seed): {name: asdict(score) for name, score in row.items()}
        for seed, row in zip(seeds, by_seed, strict=True)
    }


if __name__ == "__main__":
    main()
