"""`abaw pretrain` and `abaw probe`: tiny runs, what they leave, and what starts from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import load_file

from abaw.stores.spec import load_spec
from pipelines.cli import main, parse_config
from pipelines.recipe_files import recipe
from tests.data.faces import still_store

QUICK = (
    *("--size", "24", "--batch_size", "8", "--train.accelerator", "cpu", "--train.steps", "6", "--train.lr", "0.003"),
    *("--train.warmup_steps", "2", "--train.checkpoint_every", "3", "--train.log_every", "3"),
)


@pytest.fixture
def stills(tmp_path: Path) -> Path:
    return still_store(tmp_path / "stills.arrow", [index % 8 for index in range(48)], meta={"source": "train"})


def pretrain(out: Path, faces: Path, *words: object) -> int:
    return main(["pretrain", "--faces", str(faces), "--out", str(out), *QUICK, *map(str, words)])


def test_a_run_leaves_a_backbone_metrics_and_a_picture_of_warps(tmp_path: Path, stills: Path) -> None:
    assert pretrain(tmp_path / "run", stills) == 0
    spec = load_spec(tmp_path / "run/last", "backbone")
    assert (spec.classes, spec.feature_dim, spec.input["size"]) == ((), 128, 24)
    assert spec.training["num_faces"] == 48 and str(tmp_path) not in json.dumps(spec.training["settings"])
    assert all(name.startswith("backbone.") for name in load_file(tmp_path / "run/last/weights.safetensors"))
    line = json.loads((tmp_path / "run/metrics.jsonl").read_text().splitlines()[-1])
    assert {"loss/byol", "loss/contrast", "told_apart", "spread"} <= set(line)
    with Image.open(tmp_path / "run/figures/warps.png") as picture:
        assert picture.width > 600 and picture.height > 600


def test_plain_byol_has_no_warps(tmp_path: Path, stills: Path) -> None:
    assert pretrain(tmp_path / "run", stills, "--contrawarping.warp_weight", 0) == 0
    assert not (tmp_path / "run/figures").exists()
    assert "loss/contrast" not in (tmp_path / "run/metrics.jsonl").read_text()


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(
    tmp_path: Path, stills: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from abaw.training import loop

    assert pretrain(tmp_path / "whole", stills) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop._Trainer, "log", _stop_at(4))
        assert pretrain(tmp_path / "parts", stills) == 1
    assert "stopped" in capsys.readouterr().err
    assert pretrain(tmp_path / "parts", stills) == 0
    first, second = (load_file(tmp_path / name / "last/weights.safetensors") for name in ("whole", "parts"))
    assert all(bool((first[name] == second[name]).all()) for name in first)


def _stop_at(step: int):  # type: ignore[no-untyped-def]
    from abaw.training import loop

    usual = loop._Trainer.log

    def log(self, done, logs):  # type: ignore[no-untyped-def]
        if done == step:
            raise RuntimeError("stopped")
        usual(self, done, logs)

    return log


def test_other_settings_do_not_go_on_in_the_same_folder(
    tmp_path: Path, stills: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pretrain(tmp_path / "run", stills) == 0
    assert pretrain(tmp_path / "run", stills, "--contrawarping.warps", 3) == 2
    assert "holds a run with other settings" in capsys.readouterr().err


def test_without_an_average_there_is_no_target(
    tmp_path: Path, stills: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pretrain(tmp_path / "run", stills, "--train.ema_decay", 0) == 2
    assert "the target is the average" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["supervised", "spatial", "leaf", "dta_snl"])
def test_every_method_starts_from_a_backbone(tmp_path: Path, stills: Path, method: str) -> None:
    assert pretrain(tmp_path / "run", stills) == 0
    words = ["train-static", "--method", method, "--labelled", str(stills), "--unlabelled", str(stills)]
    start = ["--init", str(tmp_path / "run/last"), "--out", str(tmp_path / "static"), "--train.evaluate_every", "6"]
    assert main([*words, *start, *QUICK]) == 0
    config = json.loads((tmp_path / "static/config.json").read_text())["config"]
    start = load_spec(tmp_path / "run/last")
    assert config["init_weights"] == start.weights_id
    found = load_spec(tmp_path / "static/last").training["init"]
    assert (found["weights"], found["training"]["num_faces"]) == (start.weights_id, 48)
    assert (tmp_path / "static/figures/attention.png").exists() == (method == "dta_snl")


def test_another_backbone_cannot_start_from_it(
    tmp_path: Path, stills: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pretrain(tmp_path / "run", stills) == 0
    words = ["train-static", "--labelled", str(stills), "--out", str(tmp_path / "static"), "--backbone", "medium"]
    assert main([*words, "--init", str(tmp_path / "run/last"), *QUICK]) == 1
    assert "set backbone to small" in capsys.readouterr().err


def probe(out: Path, labelled: Path, scored: Path, *words: object) -> int:
    stores = ["--labelled", str(labelled), "--scored", str(scored), "--out", str(out)]
    return main(["probe", *stores, "--neighbours", "5", "--accelerator", "cpu", *map(str, words)])


def test_a_probe_measures_what_features_know(tmp_path: Path, stills: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"Some_Body_{index:04d}.jpg" if index < 20 else f"Other_{index:04d}.jpg" for index in range(40)]
    scored = still_store(
        tmp_path / "scored.arrow", [index % 8 for index in range(40)], 1, {"source": "valid"}, image=names
    )
    assert pretrain(tmp_path / "run", stills) == 0
    assert probe(tmp_path / "probe", stills, scored, "--checkpoint", tmp_path / "run/last", "--people", scored) == 0
    out = capsys.readouterr().out
    assert "linear: macro F1" in out and "knn: macro F1" in out and "the nearest neighbour is the same person" in out
    found = json.loads((tmp_path / "probe/probe.json").read_text())
    # The class is the place of a bright spot: any features of a network show it.
    assert found["linear"]["accuracy"] > 0.5
    assert (found["labelled"], found["scored"], found["people"]["asked"]) == (48, 40, 40)
    with Image.open(tmp_path / "probe/retrieval.png") as picture:
        assert picture.width > 600 and picture.height > 600


def test_a_probe_without_a_checkpoint_takes_random_weights(tmp_path: Path, stills: Path) -> None:
    scored = still_store(tmp_path / "scored.arrow", [index % 8 for index in range(40)], 1, {"source": "valid"})
    assert probe(tmp_path / "probe", stills, scored, "--size", 24, "--seed", 3) == 0
    assert json.loads((tmp_path / "probe/probe.json").read_text())["features"] == "random small, seed 3"


def test_people_need_their_names(tmp_path: Path, stills: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scored = still_store(tmp_path / "scored.arrow", [index % 8 for index in range(40)], 1, {"source": "valid"})
    assert probe(tmp_path / "probe", stills, scored, "--size", 24, "--people", stills) == 1
    assert "expected names like PERSON_0001.jpg" in capsys.readouterr().err


def test_the_recipe_fits() -> None:
    words = ["--config", str(recipe("pretrain_contrawarping")), "--faces", "a", "--out", "b"]
    config = parse_config("pretrain", words)
    assert config.contrawarping.warped == 2 and config.train.steps >= 1000


def test_faces_that_are_not_aligned_are_not_warped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crop = {"kind": "box", "pixels": 64, "margin": 0.3}
    loose = still_store(tmp_path / "loose.arrow", [index % 8 for index in range(16)], meta={"crop": crop})
    assert pretrain(tmp_path / "run", loose) != 0
    assert "holds box:64:0.30 crops, but warps move eyes, brows and mouth" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert pretrain(tmp_path / "run", loose, "--contrawarping.warp_weight", 0) == 0
    assert load_spec(tmp_path / "run/last", "backbone").input["crop"] == crop
