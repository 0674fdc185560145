"""Transformers on the waveform: tiny random ones, saved here; nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from abaw.audio.decode import Chunk
from abaw.audio.options import SoundOptions
from abaw.audio.registry import open_model
from abaw.core.errors import ConfigError, DataError
from abaw.inference.sound import pieces
from tests.audio.flash import write_flash
from tests.audio.test_timing import FLASH, features_of, times_of

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

SIZE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
CONVOLUTIONS = {"conv_dim": (8,) * 7, "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder per kind of model. No test may change it."""
    root = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    for name in ("Wav2Vec2", "Hubert", "WavLM"):
        config = getattr(transformers, f"{name}Config")(**SIZE, **CONVOLUTIONS)
        folder = root / name.lower()
        getattr(transformers, f"{name}Model")(config).save_pretrained(folder)
        transformers.Wav2Vec2FeatureExtractor(do_normalize=name != "Hubert").save_pretrained(folder)
    transformers.BertModel(transformers.BertConfig(vocab_size=10, **SIZE)).save_pretrained(root / "bert")
    (root / "empty").mkdir()
    return root


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert", "wavlm"])
def test_a_layer_is_a_vector_every_20_ms(models: Path, kind: str) -> None:
    sound = np.random.default_rng(0).normal(size=16_000).astype(np.float32)
    found = {}
    for layer in (0, 1, None):
        model = open_model(f"hf:{models / kind}", SoundOptions(layer))
        centres, values = model.vectors(sound)
        assert values.shape == (49, 16) and model.dim == 16
        assert np.array_equal(centres, 200 + 320 * np.arange(49))
        found[model.backbone] = values
    assert len(found) == 3 and len({name.split("/")[0] for name in found}) == 1, "the layer is part of the name"
    assert not np.allclose(*list(found.values())[:2])


def test_the_weights_are_the_identity(models: Path, tmp_path: Path) -> None:
    first = open_model(f"hf:{models / 'hubert'}", SoundOptions())
    network = transformers.AutoModel.from_pretrained(models / "hubert")
    network.save_pretrained(tmp_path / "copy")
    with torch.no_grad():
        next(iter(network.parameters())).add_(1)
    network.save_pretrained(tmp_path / "changed")
    assert open_model(f"hf:{tmp_path / 'copy'}", SoundOptions()).backbone == first.backbone
    assert open_model(f"hf:{tmp_path / 'changed'}", SoundOptions()).backbone != first.backbone


def test_blocks_differ_little_from_the_whole(models: Path) -> None:
    sound = np.random.default_rng(0).normal(size=50 * 16_000).astype(np.float32)
    model = open_model(f"hf:{models / 'hubert'}", SoundOptions(0))
    found = list(pieces([Chunk(0, sound)], model))
    assert [piece.edges_s[-1] for piece in found] == [20, 40, 50]
    whole = model.vectors(sound)[1]
    joined = np.concatenate([piece.values for piece in found])
    assert abs(len(joined) - len(whole)) <= 3
    assert np.abs(joined[:900] - whole[:900]).mean() < 0.05 * whole.std()


def test_the_rows_of_a_beep_stand_out(models: Path, tmp_path: Path) -> None:
    """The first layer sees 25 ms: its vectors in silence are all alike."""
    video = write_flash(tmp_path / "clip.mp4", times_of("29.97"), FLASH)
    rows = features_of(video, tmp_path, f"hf:{models / 'hubert'}").features().astype(np.float32)
    assert abs(int(np.abs(rows - np.median(rows, axis=0)).sum(axis=1).argmax()) - FLASH) <= 1


@pytest.mark.parametrize("length", [1, 399, 401])
def test_very_short_sound_has_a_vector(models: Path, length: int) -> None:
    centres, values = open_model(f"hf:{models / 'wav2vec2'}", SoundOptions()).vectors(np.ones(length, np.float32))
    assert values.shape == (1, 16) and np.isfinite(values).all() and len(centres) == 1


@pytest.mark.parametrize(
    ("name", "layer", "error", "message"),
    [
        ("hubert", 3, ConfigError, "has the layers 0 to 2"),
        ("bert", None, DataError, "is a model of the kind 'bert'; expected one on the waveform"),
        ("empty", None, DataError, "copy the folder again"),
        ("missing/model", None, ConfigError, "and give hf:FOLDER"),
        ("no such folder", None, DataError, "neither a folder nor a name of the hub"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(
    models: Path, monkeypatch: pytest.MonkeyPatch, name: str, layer: int | None, error: type[Exception], message: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    text = f"hf:{models / name}" if (models / name).is_dir() else f"hf:{name}"
    with pytest.raises(error, match=message) as caught:
        open_model(text, SoundOptions(layer))
    assert "\n" not in str(caught.value)
