"""Specs that ask for something other than their weights are refused in one line, before anything large is built."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from abaw.models.architecture import Architecture, Experts
from abaw.models.image_input import ImageInput
from abaw.models.sizes import TransformerSize
from abaw.models.static import build_static, load_features, load_static, save_backbone, save_static
from abaw.models.temporal import build_temporal, load_temporal, temporal_spec
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.stores.checkpoints import save_checkpoint
from abaw.stores.sources import Source
from abaw.stores.spec import SPEC, CheckpointError

_HUGE = 10**30
_DEEP: dict[str, Any] = {"a": 1}
for _ in range(200):
    _DEEP = {"a": _DEEP}


def _static(folder: Path) -> None:
    architecture = Architecture(backbone="small", experts=Experts(count=4))
    model = build_static(architecture, 8, 32, seed=0)
    save_static(folder, model, architecture, EXPRESSION_CLASSES, ImageInput(32), {})


def _backbone(folder: Path) -> None:
    architecture = Architecture(backbone="small")
    save_backbone(folder, build_static(architecture, 1, 32, seed=0).backbone, 128, architecture, ImageInput(32), {})


def _temporal(folder: Path) -> None:
    size = TransformerSize(layers=2, heads=2, width=8, positions="learned")
    sources = (Source("features", "abc", 6),)
    spec = temporal_spec(size, window=16, hop=8, sources=sources, classes=EXPRESSION_CLASSES, training={})
    save_checkpoint(folder, spec, build_temporal(spec, seed=0).state_dict())


_KINDS: dict[str, tuple[Callable[[Path], None], Callable[[Path], Any]]] = {
    "static": (_static, load_static),
    "backbone": (_backbone, load_features),
    "temporal": (_temporal, load_temporal),
}
_VALUES = (None, True, -1, 0, 3, 65536, 10**9, 2**62, _HUGE, 1e300, "", "x", [], [None], {}, {"x": 1})


def _places(values: dict[str, Any]) -> list[tuple[str, ...]]:
    """Every key of a spec and of the objects in it."""
    inner = [(key, name) for key, item in values.items() if isinstance(item, dict) for name in item]
    deepest = [("architecture", "experts", name) for name in (values["architecture"].get("experts") or {})]
    return [(key,) for key in values] + inner + deepest


def _with(values: dict[str, Any], place: tuple[str, ...], value: Any) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(values))
    holder = changed
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    return changed


def _without(values: dict[str, Any], place: tuple[str, ...]) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(values))
    holder = changed
    for key in place[:-1]:
        holder = holder[key]
    del holder[place[-1]]
    return changed


@pytest.mark.parametrize("kind", _KINDS)
def test_any_value_anywhere_is_refused_in_one_line_or_harmless(tmp_path: Path, kind: str) -> None:
    save, load = _KINDS[kind]
    save(tmp_path)
    load(tmp_path)
    path = tmp_path / SPEC
    values = json.loads(path.read_text(encoding="utf-8"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    changed = [_with(values, place, value) for place in _places(values) for value in _VALUES]
    changed += [_without(values, place) for place in _places(values)]
    start, refused = time.process_time(), 0
    for one in changed:
        path.write_text(json.dumps(one), encoding="utf-8")
        try:
            load(tmp_path)
        except CheckpointError as error:
            refused += 1
            assert str(tmp_path) in str(error) and "\n" not in str(error), one
    assert refused > len(changed) / 2
    assert (time.process_time() - start) / len(changed) < 0.2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 300_000  # kB


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("temporal", ("architecture", "layers", 10**9), "1000000000 layers, .* but only"),
        ("temporal", ("architecture", "tcn", 10**9), "1000000000 convolutions over time"),
        ("temporal", ("architecture", "width", 65536), r"'positions' is \[16, 8\].* has \[16, 65536\]"),
        ("temporal", ("architecture", "tasks", None), r"architecture\.tasks': expected a list, found None"),
        ("temporal", ("architecture", "tasks", ["expression", "mood"]), "unknown task 'mood'"),
        ("temporal", ("input", "window", "16"), r"input\.window': expected a whole number, found '16'"),
        ("temporal", ("input", "window", 10**9), r"'positions' is \[16, 8\].* has \[1000000000, 8\]"),
        ("static", ("architecture", "experts", {"count": 10**9}), r"'semantic\.first' is \[4, 128, 64\]"),
        ("static", ("architecture", "name", "vit_h_14"), "the weights lack"),
        ("static", ("architecture", "name", "regnet_x_400mf"), "the weights lack"),
        ("static", ("input", "size", 10**9), "image size 1000000000 is too large"),
        ("backbone", ("architecture", "attention_maps", 10**6), "the weights lack"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, kind: str, change: tuple[str, str, Any], message: str) -> None:
    save, load = _KINDS[kind]
    save(tmp_path)
    values = json.loads((tmp_path / SPEC).read_text(encoding="utf-8"))
    (tmp_path / SPEC).write_text(json.dumps(_with(values, change[:2], change[2])), encoding="utf-8")
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path)


@pytest.mark.parametrize(
    "text", ["null", "[]", "[" * 100_000, '{"a":' * 100_000, "1" * 5000, "\x00", json.dumps(_DEEP)]
)
def test_a_file_that_is_no_spec_is_refused(tmp_path: Path, text: str) -> None:
    _temporal(tmp_path)
    (tmp_path / SPEC).write_text(text, encoding="utf-8")
    with pytest.raises(Exception, match=r"spec\.json: not (readable as JSON|a spec of this version)") as caught:
        load_temporal(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("kind", _KINDS)
def test_weights_that_are_not_finite_are_neither_written_nor_read(tmp_path: Path, kind: str, value: float) -> None:
    save, load = _KINDS[kind]
    save(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    loaded, spec = load(tmp_path)
    saved = {name: tensor for name, tensor in loaded.state_dict().items() if name in _names(tmp_path)}
    weights = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in saved.items()}
    name = min(name for name, tensor in weights.items() if tensor.is_floating_point())
    weights[name].view(-1)[0] = value
    with pytest.raises(
        CheckpointError, match=rf"weights\.safetensors: 1 of the \d+ numbers in '{name}' are not finite"
    ):
        save_checkpoint(tmp_path, spec, weights)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    _write_unchecked(tmp_path, weights)
    with pytest.raises(CheckpointError, match=rf"numbers in '{name}' are not finite"):
        load(tmp_path)


def _names(folder: Path) -> set[str]:
    from safetensors import safe_open

    with safe_open(folder / "weights.safetensors", framework="pt") as file:
        return set(file.keys())


def _write_unchecked(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    """What a tool without our checks would write."""
    from hashlib import sha256

    from safetensors.torch import save

    data = save({name: tensor.contiguous() for name, tensor in weights.items()})
    (folder / "weights.safetensors").write_bytes(data)
    spec = json.loads((folder / SPEC).read_text(encoding="utf-8"))
    (folder / SPEC).write_text(json.dumps({**spec, "weights_sha256": sha256(data).hexdigest()}), encoding="utf-8")
