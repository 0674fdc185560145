"""Extractors in Python files: the example of the documentation, and what is wrong with others."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import abaw
from abaw.core.errors import ConfigError, DataError
from abaw.extractors.extractor import Extractor
from abaw.extractors.registry import open_extractor
from abaw.extractors.settings import ExtractorSettings
from tests.data.faces import video_store
from tests.documented import write_python
from tests.extractors.networks import crops

DOCUMENT = Path(__file__).parents[2] / "docs/extractors.md"
SCALED = """
import numpy as np
from pathlib import Path

class Scaled:
    size = 16
    def transform(self, crops):
        return crops.mean(axis=(1, 2)) * np.load(Path(__file__).with_name("factor.npy"))

EXTRACTOR = Scaled()
WEIGHTS = ["factor.npy"]
"""


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """`mean_colours.py` of the documentation."""
    return write_python(DOCUMENT, "## Your own code", tmp_path / "my extractors" / "mean_colours.py")


def opened(path: Path, **settings: object) -> Extractor:
    return open_extractor(f"python:{path}", "cpu", ExtractorSettings(**settings))  # type: ignore[arg-type]


def test_the_example_makes_features_that_train_a_temporal_model(tmp_path: Path, example: Path) -> None:
    labels = tmp_path / "annotations/EXPR_Recognition_Challenge/Train_Set"
    labels.mkdir(parents=True)
    for seed, name in enumerate("abc"):
        video_store(tmp_path / f"faces/{name}.arrow", [None if frame == 3 else frame % 8 for frame in range(12)], seed)
        (labels / f"{name}.txt").write_text(f"{','.join(abaw.CLASSES)}\n" + "".join(f"{i % 8}\n" for i in range(12)))
    made = abaw.features(
        faces=[tmp_path / "faces"], checkpoint=f"python:{example}", out=tmp_path / "features", accelerator="cpu"
    )
    store = abaw.read_features(made[0])
    assert (len(made), store.feature_dim, int(store.valid.sum())) == (3, 6 * 6 * 3, 11)
    assert store.meta["extractor"]["name"] == f"python:{example}" and store.features()[0].any()
    run = abaw.train_temporal(
        features=[tmp_path / "features"],
        annotations=tmp_path / "annotations",
        out=tmp_path / "run",
        window=8,
        hop=4,
        model={"layers": 1, "heads": 2, "width": 16},
        train={"steps": 3, "evaluate_every": 3, "accelerator": "cpu"},
        holdout=0.34,
    )
    (predicted, *_) = abaw.predict(
        features=[tmp_path / "features"], checkpoint=[run.checkpoint], out=tmp_path / "predictions"
    )
    assert abaw.read_predictions(predicted).probs.shape == (12, 8)


def test_features_are_those_of_transform(example: Path) -> None:
    found = opened(example)
    images = np.asarray(crops(5, 48))
    tile = images[:, :, :8, :8].mean((2, 3)) / 255
    np.testing.assert_allclose(found.features(images)[:, :3], tile, rtol=2e-3)
    assert (found.side, found.dim, found.crop) == (48, 108, None)
    assert opened(example, size=24, crop="box:224:0.3").side == 24


def test_the_code_and_its_files_identify_the_features(tmp_path: Path, example: Path) -> None:
    first = opened(example)
    example.write_text(example.read_text().replace("tiles: int = 6", "tiles: int = 4"))
    second = opened(example)
    assert (first.dim, second.dim) == (108, 48) and first.source != second.source
    scaled = tmp_path / "scaled.py"
    scaled.write_text(SCALED)
    found = []
    for factor in (1.0, 2.0):
        np.save(tmp_path / "factor.npy", factor)
        found.append(opened(scaled))
    assert found[0].source != found[1].source
    assert opened(scaled).source == found[1].source != opened(scaled, size=8).source


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1", "defines no EXTRACTOR with a method transform"),
        ("class E:\n    size = 16\n\nEXTRACTOR = E()", "defines no EXTRACTOR with a method transform"),
        ("import nothing_of_this_name", "cannot be loaded: ModuleNotFoundError"),
        ("class E:\n    def transform(self, x): return x\n\nEXTRACTOR = E()", "its size is not known"),
        (SCALED.replace("16", "4"), "extractor.size is 4; expected 8 to 2048 pixels"),
        (SCALED.replace('["factor.npy"]', '"factor.npy"'), "WEIGHTS is 'factor.npy'; expected a list"),
        (SCALED.replace('["factor.npy"]', '["other.npy"]'), "other.npy"),
        (SCALED.replace("mean(axis=(1, 2))", "mean(axis=(1, 2), wrong=1)"), "does not run on pictures of 16x16"),
        (SCALED.replace("mean(axis=(1, 2))", "mean(axis=(0, 1))"), "returns [16, 3] for 2 pictures"),
    ],
    ids=["nothing", "no-transform", "fails", "no-size", "small", "one-text", "no-file", "raises", "rows"],
)
def test_what_is_wrong_is_reported(tmp_path: Path, text: str, expected: str) -> None:
    np.save(tmp_path / "factor.npy", 1.0)
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises((ConfigError, DataError), match=re.escape(expected)):
        opened(path)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(abaw.AbawError, match=re.escape("mine.py: no such file")):
        abaw.features(faces=[tmp_path], checkpoint=f"python:{tmp_path / 'mine.py'}", out=tmp_path / "out")
