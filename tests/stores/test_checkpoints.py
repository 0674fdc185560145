from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from abaw.core.errors import DataError
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.stores.checkpoints import STATE, WEIGHTS, load_checkpoint, load_state, save_checkpoint, save_state
from abaw.stores.spec import SPEC, CheckpointError, Spec, load_spec, require_classes


def spec(**changes: Any) -> Spec:
    base = Spec("temporal", {"name": "transformer"}, EXPRESSION_CLASSES, 4, {"window": 8, "hop": 4, "backbone": "abc"})
    return replace(base, **changes)


def weights(value: float = 1.0) -> dict[str, torch.Tensor]:
    return {"a.weight": torch.full((2, 3), value), "count": torch.tensor(7)}


def test_round_trip(tmp_path: Path) -> None:
    folder = tmp_path / "check point é"
    saved = save_checkpoint(folder, spec(training={"seed": 1}), weights())
    assert len(saved.weights_sha256) == 64
    loaded = load_checkpoint(folder, "temporal")
    assert loaded.spec == saved == load_spec(folder)
    assert loaded.spec.weights_id == saved.weights_sha256[:16]
    assert set(loaded.weights) == {"a.weight", "count"}
    assert torch.equal(loaded.weights["a.weight"], weights()["a.weight"])


def test_half_the_size_on_disk_and_full_precision_in_memory(tmp_path: Path) -> None:
    values = {"weight": torch.linspace(-3, 3, 5000), "count": torch.tensor(7)}
    for half in (False, True):
        save_checkpoint(tmp_path / str(half), spec(), values, half=half)
    full, small = ((tmp_path / str(half) / WEIGHTS).stat().st_size for half in (False, True))
    assert small < 0.55 * full
    loaded = load_checkpoint(tmp_path / "True").weights
    assert loaded["weight"].dtype == torch.float32 and loaded["count"] == 7
    assert torch.allclose(loaded["weight"], values["weight"], rtol=1e-3, atol=1e-6)
    with pytest.raises(CheckpointError, match="1 of the 1 numbers in 'weight' are not finite"):
        save_checkpoint(tmp_path / "large", spec(), {"weight": torch.tensor([1e5])}, half=True)


def test_weights_that_share_storage_or_are_slices_can_be_saved(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    save_checkpoint(tmp_path, spec(), {"slice": base[:, 1]})
    assert load_checkpoint(tmp_path).weights["slice"].tolist() == [1.0, 5.0, 9.0]


def test_equal_weights_have_equal_ids_and_different_weights_do_not(tmp_path: Path) -> None:
    ids = [save_checkpoint(tmp_path / str(k), spec(), weights(v)).weights_id for k, v in enumerate((1.0, 1.0, 2.0))]
    assert ids[0] == ids[1] != ids[2]


def test_a_kill_between_weights_and_spec_is_detected(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, spec(), weights(1.0))
    save_checkpoint(tmp_path / "new", spec(), weights(2.0))
    (tmp_path / "new" / WEIGHTS).rename(tmp_path / WEIGHTS)
    with pytest.raises(CheckpointError, match="do not belong together"):
        load_checkpoint(tmp_path)


def test_no_checkpoint_and_another_kind(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint there"):
        load_spec(tmp_path)
    save_checkpoint(tmp_path, spec(), weights())
    with pytest.raises(CheckpointError, match="expected a static checkpoint, found a temporal one"):
        load_spec(tmp_path, "static")


def test_damaged_files_are_named(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, spec(), weights())
    (tmp_path / WEIGHTS).write_bytes(b"rubbish")
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: not readable"):
        load_checkpoint(tmp_path)
    (tmp_path / WEIGHTS).unlink()
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: no such file"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("change", [{"kind": None}, {"surplus": 1}, {"classes": None}])
def test_a_spec_of_another_version_is_named(tmp_path: Path, change: dict[str, Any]) -> None:
    save_checkpoint(tmp_path, spec(), weights())
    values = json.loads((tmp_path / SPEC).read_text()) | change
    (tmp_path / SPEC).write_text(json.dumps({key: value for key, value in values.items() if value is not None}))
    with pytest.raises(CheckpointError, match="not a spec of this version"):
        load_spec(tmp_path)


def test_class_order(tmp_path: Path) -> None:
    require_classes(spec(), EXPRESSION_CLASSES, tmp_path)
    turned = tuple(reversed(EXPRESSION_CLASSES))
    with pytest.raises(CheckpointError, match="class order differs: expected Neutral, .* found Other, "):
        require_classes(spec(classes=turned), EXPRESSION_CLASSES, tmp_path)


def test_resume_states(tmp_path: Path) -> None:
    path = tmp_path / STATE
    assert load_state(path) is None
    save_state(path, {"step": 3, "rng": torch.arange(3), "names": ["a"], "nested": {"x": 0.5}})
    state = load_state(path)
    assert state is not None
    assert (state["step"], state["names"], state["nested"]) == (3, ["a"], {"x": 0.5})
    assert torch.equal(state["rng"], torch.arange(3))


class Payload:
    """An object that would run code when unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('ran')",))


def test_only_plain_values_are_unpickled(tmp_path: Path) -> None:
    torch.save({"x": Payload()}, tmp_path / STATE)
    with pytest.raises(CheckpointError, match="not readable"):
        load_state(tmp_path / STATE)


@pytest.mark.parametrize("content", [b"", b"rubbish"])
def test_a_damaged_state_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / STATE).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"state\.pt: not readable"):
        load_state(tmp_path / STATE)


@pytest.mark.parametrize("name", [WEIGHTS, SPEC])
def test_a_checkpoint_that_may_not_be_read_is_not_to_be_made_again(
    tmp_path: Path, name: str, deny: Callable[[Path], None]
) -> None:
    save_checkpoint(tmp_path, spec(), weights())
    deny(tmp_path / name)
    with pytest.raises(DataError) as caught:
        load_checkpoint(tmp_path)
    assert str(caught.value) == f"{tmp_path / name}: no permission to read it; change its permissions"


def test_a_state_that_may_not_be_read_is_not_to_be_removed(tmp_path: Path, deny: Callable[[Path], None]) -> None:
    save_state(tmp_path / "state.pt", {"step": 1})
    deny(tmp_path / "state.pt")
    with pytest.raises(CheckpointError) as caught:
        load_state(tmp_path / "state.pt")
    assert str(caught.value) == f"{tmp_path / 'state.pt'}: no permission to read it; change its permissions"
