"""The commands on pages of the documentation: each is accepted by its command, and they fit together."""

from __future__ import annotations

import glob
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from abaw.protocol.annotations import write_annotation
from abaw.protocol.editions import edition
from abaw.stores.features import feature_batch, write_features
from pipelines.cli import STAGES, main, parse_config

DOCS = Path(__file__).parents[1] / "docs"
PAGES = ("bring-your-own-features.md", "fusion.md")


def commands(page: str) -> list[list[str]]:
    """The words of each `abaw …` in the code blocks of a page."""
    blocks = re.findall(r"^```\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("abaw ")]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_is_accepted(page: str) -> None:
    found = commands(page)
    assert len(found) > 4
    for name, *words in found:
        assert name in STAGES and parse_config(name, words) is not None


TEST_VIDEOS = ("test0", "test1")
FEATURES = {"enet": {"backbone": "e" * 16}, "dinov2": {"backbone": "d" * 16}, "wav2vec2": {"backbone": "w" * 16}}
SMALL = {
    "cross-validate": ["--folds", "2"],
    "ablate": ["--seeds", "0", "--vary", "sources=enet,enet+wav2vec2"],
    "validate": ["--draws", "100"],
}
"""Further words that make a command short. A second --vary replaces the first."""
TINY_MODEL = ["--model.layers", "1", "--model.heads", "2", "--model.width", "16", "--learn.batch_size", "4"]
TINY_MODEL += ["--window", "40", "--hop", "20", "--train.steps", "4", "--train.accelerator", "cpu"]
TINY_MODEL += ["--train.precision", "32-true"]


def make_features(root: Path) -> None:
    """Small stand-ins for the features of steps 1 to 3, annotations and a template."""
    rng = np.random.default_rng(0)
    videos = {f"{split}{index}": split for split in ("Train_Set", "Validation_Set") for index in range(3)}
    for name in (*videos, *TEST_VIDEOS):
        labels = rng.permutation(np.repeat(np.arange(8), 10))
        if name in videos:
            folder = root / "AFFWILD2" / "annotations" / "EXPR_Recognition_Challenge" / videos[name]
            write_annotation(folder / f"{name}.txt", labels)
        frames, every = np.arange(1, 81, dtype=np.int32), np.ones(80, bool)
        for source, meta in FEATURES.items():
            values = np.eye(8)[labels] + 0.5 * rng.normal(size=(80, 8))
            kind = {"modality": "sound"} if source == "wav2vec2" else {}
            batch = feature_batch(frames, every, values.astype(np.float16))
            write_features(root / "work" / source / f"{name}.arrow", 8, [batch], {**meta, **kind, "fps": 25.0})
    rows = [f"{name}/{frame:05d}.jpg," for name in TEST_VIDEOS for frame in range(1, 81)]
    (root / "TEMPLATE.txt").write_text("\n".join([edition("abaw10").header, *rows]) + "\n")


@pytest.mark.slow
def test_the_page_on_features_leads_to_a_checked_submission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All commands from features on, as they are on the page, with stand-ins for the features and tiny models."""
    make_features(tmp_path)
    monkeypatch.chdir(tmp_path)
    ran = []
    for name, *words in commands("bring-your-own-features.md"):
        if name in ("extract", "features", "import-features", "audio-features"):
            continue
        more = [*SMALL.get(name, []), *(TINY_MODEL if name in ("ablate", "cross-validate") else [])]
        expanded = [path for word in words for path in (sorted(glob.glob(word)) if "*" in word else [word])]
        assert main([name, *expanded, *more]) == 0, (name, words)
        ran.append(name)
    assert set(ran) == {"ablate", "cross-validate", "predict", "fuse", "validate", "submit", "check-submission"}
    assert "nested" in (tmp_path / "work" / "test" / "fused" / "fusion.json").read_text()
