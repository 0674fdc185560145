from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from abaw.core.artifacts import file_hash, write_json
from abaw.core.config import to_plain
from abaw.core.errors import ConfigError
from abaw.data.face_set import labelled_stills, unlabelled_frames
from abaw.models.architecture import Architecture
from abaw.models.backbones import build_backbone
from abaw.models.image_input import ImageInput
from abaw.models.static import build_static, load_static, save_static
from abaw.protocol.annotations import write_annotation
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.semisup.methods.spatial.settings import SpatialSettings
from abaw.semisup.registry import method_names
from abaw.stores.checkpoints import load_state
from abaw.stores.crop import ALIGNED_112, Crop
from abaw.stores.features import open_features
from abaw.training.settings import TrainSettings
from abaw.training.static import score_static, train_static_on
from abaw.training.static_recipe import StaticRecipe
from pipelines.cli import main
from pipelines.recipe_files import recipe
from pipelines.settings import parse
from pipelines.train_static import TrainStaticConfig
from tests.data.faces import picture, still_store, video_store

QUICK = [
    *("--size", "16", "--batch_size", "8", "--train.accelerator", "cpu", "--train.steps", "6", "--train.lr", "0.003"),
    *("--train.warmup_steps", "2", "--train.evaluate_every", "3", "--train.checkpoint_every", "3"),
]


@pytest.fixture
def stills(tmp_path: Path) -> Path:
    return still_store(tmp_path / "stills.arrow", [index % 8 for index in range(64)])


def arguments(out: Path, *words: object, quick: bool = True) -> list[str]:
    return ["train-static", "--out", str(out), *(QUICK if quick else []), *map(str, words)]


def train(out: Path, *words: object) -> int:
    return main(arguments(out, *words))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "weights.safetensors")


def same(a: Path, b: Path) -> bool:
    first, second = weights(a), weights(b)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_leaves_what_it_promises(tmp_path: Path, stills: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path / "run", "--labelled", stills) == 0
    out, said = capsys.readouterr()
    assert [line.split(": ")[1].split(",")[0] for line in out.splitlines()][0] == "step 6"
    assert "last: step 6, macro_f1" in out and "best: step" in out
    assert "56 faces to learn from: Neutral 7, Anger 7" in said
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        *("config.json", "metrics.jsonl", "tensorboard", "last", "best")
    }
    _, spec = load_static(tmp_path / "run/best")
    assert spec.training["train_counts"] == [7] * 8
    assert spec.training["selection_counts"] == [1] * 8
    assert spec.training["settings"]["balance"] == "own"
    assert set(spec.training["scores"]) == {"macro_f1", "accuracy"}
    assert spec.class_shares == pytest.approx([1 / 8] * 8)
    assert str(tmp_path) not in (tmp_path / "run/best/spec.json").read_text()


def test_it_learns_to_distinguish_the_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = np.random.default_rng(0).choice(8, 400, p=[0.4, 0.2, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05]).tolist()
    path = still_store(tmp_path / "many.arrow", labels)
    words = ["--train.steps", "120", "--train.ema_decay", "0.9", "--supervised.view", "weak", "--holdout", "0.2"]
    flat = ["--train.evaluate_every", "120", "--train.checkpoint_every", "120", "--batch_size", "16"]
    assert train(tmp_path / "run", "--labelled", path, *words, *flat) == 0
    _, spec = load_static(tmp_path / "run/last")
    assert spec.training["scores"]["macro_f1"] > 0.6


def test_frames_of_videos_and_stills_train_together(
    tmp_path: Path, stills: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b", "c"):
        labels = [index % 8 for index in range(24)]
        video_store(tmp_path / f"faces/{name}.arrow", labels)
        write_annotation(tmp_path / f"ann/EXPR_Recognition_Challenge/Train_Set/{name}.txt", np.array(labels))
    write_annotation(tmp_path / "ann/EXPR_Recognition_Challenge/Train_Set/gone.txt", np.array([0]))
    words = ["--labelled", stills, "--videos", tmp_path / "faces", "--annotations", tmp_path / "ann", "--every", 2]
    assert train(tmp_path / "run", *words) == 0
    assert "1 annotated videos have no faces store" in capsys.readouterr().err
    _, spec = load_static(tmp_path / "run/last")
    assert sum(spec.training["selection_counts"]) == 8 + 12
    assert sum(spec.training["train_counts"]) == 56 + 24


def test_a_class_without_a_face_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = still_store(tmp_path / "few.arrow", [0, 1, 2, 3] * 6)
    assert train(tmp_path / "run", "--labelled", path) == 0
    assert "warning: no face is labelled Happiness, Sadness, Surprise, Other" in capsys.readouterr().err


def test_starting_from_a_checkpoint(tmp_path: Path, stills: Path) -> None:
    assert train(tmp_path / "first", "--labelled", stills) == 0
    words = ["--labelled", stills, "--init", tmp_path / "first/last", "--train.lr", "1e-12"]
    assert train(tmp_path / "second", *words, "--train.weight_decay", "0", "--train.ema_decay", "0") == 0
    first, second = weights(tmp_path / "first/last"), weights(tmp_path / "second/last")
    assert torch.allclose(first["head.weight"], second["head.weight"], atol=1e-6)


@pytest.mark.parametrize(
    ("classes", "backbone", "message"),
    [
        (tuple(reversed(EXPRESSION_CLASSES)), "small", "class order differs"),
        (EXPRESSION_CLASSES, "resnet18", "expected small with features of width 128; found resnet18 with width 512"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_before_anything_is_written(
    tmp_path: Path,
    stills: Path,
    classes: tuple[str, ...],
    backbone: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    save_static(
        tmp_path / "ckpt",
        build_static(Architecture(backbone=backbone), 8, 32, seed=0),
        Architecture(backbone=backbone),
        classes,
        ImageInput(32),
        {},
    )
    assert train(tmp_path / "run", "--labelled", stills, "--init", tmp_path / "ckpt") == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_network_of_timm_is_trained_from_the_weights_of_a_file(tmp_path: Path, stills: Path) -> None:
    """Its features are then computed as those of any static checkpoint, and it is a start for the next run."""
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    start = timm.create_model("test_vit", img_size=32).state_dict()
    torch.save(start, tmp_path / "weights.pth")
    words = ["--labelled", stills, "--backbone", "timm:test_vit", "--size", "32", "--train.lr", "1e-12"]
    given = ["--backbone_weights", tmp_path / "weights.pth", "--train.weight_decay", "0"]
    assert train(tmp_path / "run", *words, *given) == 0
    trained = weights(tmp_path / "run/last")
    assert torch.allclose(trained["backbone.patch_embed.proj.weight"], start["patch_embed.proj.weight"], atol=1e-6)
    spec = json.loads((tmp_path / "run/last/spec.json").read_text())
    assert (spec["input"]["mean"], spec["input"]["size"]) == ([0.5, 0.5, 0.5], 32)
    assert spec["training"]["backbone_weights"] == file_hash(tmp_path / "weights.pth")
    video_store(tmp_path / "faces/a.arrow", [0, None, 1])
    features = ["features", "--faces", str(tmp_path / "faces"), "--checkpoint", str(tmp_path / "run/last")]
    assert main([*features, "--out", str(tmp_path / "features"), "--accelerator", "cpu"]) == 0
    assert open_features(tmp_path / "features/a.arrow").feature_dim == spec["feature_dim"]
    assert train(tmp_path / "next", *words, "--init", tmp_path / "run/last") == 0


def test_other_weights_in_a_file_of_the_same_name_are_another_run(
    tmp_path: Path, stills: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, run = tmp_path / "weights.pth", tmp_path / "run"
    words = ["--labelled", stills, "--holdout", "0", "--backbone_weights", file]
    torch.save(build_backbone("small").state_dict(), file)
    first = file_hash(file)
    assert train(run, *words) == 0
    assert train(run, *words) == 0
    torch.save(build_backbone("small").state_dict(), file)
    capsys.readouterr()
    assert train(run, *words) == 2
    changed = f"file_hashes.backbone_weights: '{first}' -> '{file_hash(file)}'"
    assert f"{run}: holds a run with other settings ({changed}); choose another --out" in capsys.readouterr().err
    facts = json.loads((run / "config.json").read_text())
    del facts["config"]["file_hashes"]
    write_json(run / "config.json", facts)
    assert train(run, *words) == 0, "a run of an earlier version, which does not name the content"


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ([], 2, "nothing to learn from"),
        (["--labelled", "nothing.arrow"], 1, "nothing.arrow: no such file or folder (labelled)"),
        (["--labelled", "{stills}", "--videos", "{stills}"], 2, "videos and annotations belong together"),
        (["--labelled", "{stills}", "--backbone", "resnet81"], 2, "Did you mean 'resnet18'"),
        (["--labelled", "{stills}", "--init", "a", "--pretrained"], 2, "init and pretrained"),
        (["--labelled", "{stills}", "--init", "a", "--backbone_weights", "b"], 2, "init and backbone_weights"),
        (["--labelled", "{stills}", "--pretrained", "--backbone_weights", "b"], 2, "pretrained and backbone_weights"),
        (["--labelled", "{stills}", "--backbone_weights", "b.pth"], 1, "b.pth: no such file"),
        (["--labelled", "{stills}", "--holdout", "0.9"], 2, "holdout is 0.9"),
        (["--labelled", "{stills}", "--train.steps", "0"], 2, "steps is 0"),
        (["--labelled", "{stills}", "--method", "fixmtach"], 2, "Did you mean 'fixmatch'"),
        (["--labelled", "{stills}", "--method", "fixmatch"], 2, "also learns from unlabelled faces: give --unlabelled"),
        (["--labelled", "{stills}", "--warm_start_steps", "-1"], 2, "warm_start_steps is -1"),
        (
            ["--labelled", "{stills}", "--method", "fixmatch", "--unlabelled", "{stills}", "--train.ema_decay", "0"],
            2,
            "fixmatch.teacher is average, but with train.ema_decay 0 there is no average",
        ),
    ],
)
def test_settings_that_do_not_work_are_reported(
    tmp_path: Path, stills: Path, words: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path / "run", *[word.format(stills=stills) for word in words]) == status
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([None] * 4, "none of its 4 faces has a label"),
        ([], "none of its 0 images shows a face"),
        ([0, 1, 2], "too few"),
    ],
    ids=["unlabelled", "empty", "one per class"],
)
def test_a_set_to_learn_nothing_from_is_reported(
    tmp_path: Path, labels: list[int | None], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path / "run", "--labelled", still_store(tmp_path / "a.arrow", labels)) == 1
    assert message in capsys.readouterr().err


def test_a_damaged_store_is_reported(tmp_path: Path, stills: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stills.write_bytes(stills.read_bytes()[:1000])
    assert train(tmp_path / "run", "--labelled", stills) == 1
    assert "stills.arrow: not a readable store" in capsys.readouterr().err


def test_a_loss_that_is_not_finite_stops_and_names_the_images(
    tmp_path: Path, stills: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--train.lr", "1e30", "--train.steps", "20", "--train.clip_norm", "1e9"]
    assert train(tmp_path / "run", "--labelled", stills, *words) == 1
    assert "not finite. Batch of 8: " in (said := capsys.readouterr().err)
    assert "stills.arrow:00" in said and "lower the learning rate (1e+30)" in said


@pytest.mark.parametrize(("fault", "message"), [(28, "the disk is full"), (13, "no permission to write there")])
def test_a_checkpoint_that_cannot_be_written_is_reported_and_the_run_goes_on_later(
    tmp_path: Path,
    stills: Path,
    fault: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    replace = os.replace

    def refuse(temporary: Path, path: Path) -> None:
        if path.name == "state.pt":
            raise OSError(fault, "refused")
        replace(temporary, path)

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", refuse)
        assert train(tmp_path / "run", "--labelled", stills) == 1
    assert message in capsys.readouterr().err
    assert not list((tmp_path / "run").rglob("*.tmp"))
    assert train(tmp_path / "run", "--labelled", stills) == 0
    assert train(tmp_path / "whole", "--labelled", stills) == 0
    assert same(tmp_path / "run/last", tmp_path / "whole/last")


def test_other_settings_or_other_faces_in_the_same_run_are_refused(
    tmp_path: Path, stills: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tmp_path / "run", "--labelled", stills)
    assert train(tmp_path / "run", "--labelled", stills, "--train.seed", 1) == 2
    assert "train.seed: 0 -> 1" in capsys.readouterr().err
    still_store(stills, [0, 1] * 20, seed=1)
    assert train(tmp_path / "run", "--labelled", stills) == 2
    said = capsys.readouterr().err
    assert "holds a run with other settings (" in said and "faces.training: " in said


def test_without_held_out_faces_the_last_checkpoint_alone_is_kept(
    tmp_path: Path, stills: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path / "run", "--labelled", stills, "--holdout", 0) == 0
    assert "nothing was held out" in capsys.readouterr().out
    assert not (tmp_path / "run/best").exists()
    _, spec = load_static(tmp_path / "run/last")
    assert spec.training["train_counts"] == [8] * 8 and spec.training["selection_counts"] is None


def test_labels_of_unlabelled_faces_are_hidden(tmp_path: Path, stills: Path) -> None:
    """Whatever labels the unlabelled store has, the run is the same."""
    for name, labels in (("a", [0, 1] * 10), ("b", [2, 3] * 10)):
        jpegs = [picture(0, np.random.default_rng(index)) for index in range(20)]
        faces = still_store(tmp_path / name / "faces.arrow", labels, jpeg=jpegs)
        words = ["--labelled", stills, "--unlabelled", faces, "--method", "fixmatch", "--fixmatch.threshold", 0.1]
        assert train(tmp_path / name / "run", *words) == 0
    assert same(tmp_path / "a/run/last", tmp_path / "b/run/last")


def test_faces_without_a_label_serve_as_unlabelled_ones_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = still_store(tmp_path / "some.arrow", [*[index % 8 for index in range(32)], *[None] * 12])
    assert train(tmp_path / "run", "--labelled", path, "--rest_unlabelled", "--method", "spatial") == 0
    assert "12 unlabelled faces" in capsys.readouterr().err
    _, spec = load_static(tmp_path / "run/last")
    assert spec.training["unlabelled"] == 12


def test_frames_without_a_label_serve_as_unlabelled_ones_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of each video, frames 12 to 23 have no label and frame 20 no face; one of three videos is held out."""
    folder = tmp_path / "ann/EXPR_Recognition_Challenge/Train_Set"
    for name in ("a", "b", "b_left", "c"):
        faces = [None if index == 20 else index % 8 for index in range(24)]
        video_store(tmp_path / f"faces/{name}.arrow", faces, seed=ord(name[-1]))
        write_annotation(folder / f"{name}.txt", np.array([index % 8 if index < 12 else -1 for index in range(24)]))
    found = unlabelled_frames(tmp_path / "faces", folder, 1)
    assert found is not None and len(found) == 4 * 11 and set(found.labels.tolist()) == {-1}
    assert set(found.rows.tolist()) == {*range(12, 24)} - {20}
    every = unlabelled_frames(tmp_path / "faces", folder, 2)
    assert every is not None and len(every) == 4 * 6
    words = ["--videos", tmp_path / "faces", "--annotations", tmp_path / "ann", "--every", 1]
    words += ["--holdout", 0.34, "--rest_unlabelled", "--method", "spatial"]
    assert train(tmp_path / "run", *words) == 0
    count = int(re.search(r"(\d+) unlabelled faces", capsys.readouterr().err)[1])  # type: ignore[index]
    assert count in (2 * 11, 3 * 11)  # without both people of the video that is held out, when it is b
    _, spec = load_static(tmp_path / "run/last")
    assert sum(spec.training["train_counts"]) * 11 == count * 12


def test_unlabelled_frames_of_held_out_videos_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "ann/EXPR_Recognition_Challenge/Train_Set"
    for name in ("a", "b", "c"):
        video_store(tmp_path / f"faces/{name}.arrow", [index % 8 for index in range(16)], seed=ord(name))
        write_annotation(folder / f"{name}.txt", np.arange(16) % 8)
    words = ["--videos", tmp_path / "faces", "--annotations", tmp_path / "ann", "--every", 1, "--holdout", 0.34]
    assert train(tmp_path / "run", *words, "--unlabelled", tmp_path / "faces", "--method", "fixmatch") == 0
    assert f"{2 * 16} unlabelled faces" in capsys.readouterr().err
    _, spec = load_static(tmp_path / "run/last")
    assert spec.training["unlabelled"] == sum(spec.training["train_counts"]) == 2 * 16


def test_without_such_frames_there_are_none(tmp_path: Path) -> None:
    video_store(tmp_path / "faces/a.arrow", [0, 1, None])
    write_annotation(tmp_path / "ann/a.txt", np.array([0, 1, 2]))
    assert unlabelled_frames(tmp_path / "faces", tmp_path / "ann", 1) is None


def test_a_warm_start_is_a_separate_run_next_to_the_run(tmp_path: Path, stills: Path) -> None:
    words = ["--labelled", stills, "--unlabelled", stills, "--method", "fixmatch", "--warm_start_steps", "4"]
    assert train(tmp_path / "run", *words) == 0
    _, spec = load_static(tmp_path / "run.warm_start/last")
    assert spec.training["step"] == 4 and spec.training["settings"]["method"] == "supervised"
    assert spec.training["init"] is None
    assert json.loads((tmp_path / "run/config.json").read_text())["config"]["init_weights"] == spec.weights_id
    found = load_static(tmp_path / "run/last")[1].training["init"]
    assert found == {"weights": spec.weights_id, "training": spec.training}


class Stop(Exception):
    """Ends a run in the middle."""


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        *((name, {}) for name in method_names()),
        *(("spatial", {"spatial": SpatialSettings(feedback=form)}) for form in (False, "face2exp")),
    ],
)
def test_a_run_of_every_method_that_stops_goes_on_as_an_unbroken_one(
    tmp_path: Path, stills: Path, method: str, settings: dict[str, SpatialSettings]
) -> None:
    train_settings = TrainSettings(
        steps=8, lr=3e-3, warmup_steps=2, evaluate_every=4, checkpoint_every=3, accelerator="cpu"
    )
    recipe = StaticRecipe(method=method, size=16, batch_size=8, train=train_settings, **settings)
    faces = labelled_stills(stills)
    sets = (faces, faces, faces.without_labels())

    def stop(done: int, total: int | None) -> None:
        if done == 5:
            raise Stop

    with pytest.raises(Stop):
        train_static_on(recipe, *sets, tmp_path / "broken", hook=stop)
    assert _steps_done(tmp_path / "broken/last/state.pt") == 3
    train_static_on(recipe, *sets, tmp_path / "broken")
    train_static_on(recipe, *sets, tmp_path / "whole")
    assert same(tmp_path / "broken/last", tmp_path / "whole/last")
    assert _metrics(tmp_path / "broken") == _metrics(tmp_path / "whole")


def test_feedback_needs_no_average(tmp_path: Path, stills: Path) -> None:
    words = ["--labelled", stills, "--unlabelled", stills, "--method", "spatial", "--train.ema_decay", "0"]
    assert train(tmp_path / "run", *words) == 0
    assert load_static(tmp_path / "run/last")[1].training["settings"]["train"]["ema_decay"] == 0


def test_scores_of_a_checkpoint(tmp_path: Path, stills: Path) -> None:
    assert train(tmp_path / "run", "--labelled", stills) == 0
    scores = score_static(tmp_path / "run/last", labelled_stills(stills), "cpu", flip=True)
    assert 0 <= scores["ece"] <= 1
    assert len(scores["class_f1"]) == 8 and scores["macro_f1"] == pytest.approx(sum(scores["class_f1"]) / 8)


@pytest.mark.slow
def test_a_killed_run_gives_the_weights_of_an_unbroken_one(tmp_path: Path, stills: Path) -> None:
    plan = ["--labelled", stills, "--train.steps", "150", "--train.checkpoint_every", "10"]
    plan += ["--train.evaluate_every", "25", "--train.prefetch", "1"]
    state = tmp_path / "killed/last/state.pt"
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", *arguments(tmp_path / "killed", *plan)],
        cwd=Path(__file__).parents[2],
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not _steps_done(state) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert 0 < _steps_done(state) < 150
    assert train(tmp_path / "killed", *plan) == 0
    assert train(tmp_path / "whole", *plan) == 0
    for name in ("last", "best"):
        assert same(tmp_path / "killed" / name, tmp_path / "whole" / name)
    assert _metrics(tmp_path / "killed") == _metrics(tmp_path / "whole")


def _steps_done(state: Path) -> int:
    values = load_state(state)
    return int(values["done"]) if values else 0


def _metrics(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    "name",
    [
        *("static_demo", "static_affwild2", "static_builtin", "static_builtin_finetune"),
        *("static_semisupervised", "static_student", "static_teacher"),
    ],
)
def test_the_recipes_that_ship_are_read(name: str, tmp_path: Path) -> None:
    words = ["--config", str(recipe(name)), "--labelled", "a", "--out", str(tmp_path)]
    config = parse(TrainStaticConfig, words, "abaw train-static")
    assert config.train.checkpoint_every <= config.train.steps
    head = recipe(name).read_text().split("\n\n")[0]
    for fact in ("abaw train-static", "Hardware", "Time", "Score"):
        assert fact in head


def test_a_config_without_faces_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing to learn from"):
        TrainStaticConfig(out=Path("run"))


def test_a_run_of_a_version_that_lacked_a_setting_goes_on(tmp_path: Path, stills: Path) -> None:
    assert train(tmp_path / "run", "--labelled", stills) == 0
    file = tmp_path / "run/config.json"
    saved = json.loads(file.read_text())
    del saved["config"]["supervised"]["label_smoothing"]
    file.write_text(json.dumps(saved))
    assert train(tmp_path / "run", "--labelled", stills, "--supervised.label_smoothing", 0.2) == 2
    assert train(tmp_path / "run", "--labelled", stills) == 0


def test_starting_from_the_checkpoint_of_the_package(
    tmp_path: Path, stills: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path / "static", "--labelled", stills) == 0
    (tmp_path / "static/last").rename(tmp_path / "weights-static")
    (tmp_path / "static").rename(tmp_path / "old")
    (tmp_path / "weights-static").rename(tmp_path / "static")
    monkeypatch.setattr("abaw.weights._ROOT", tmp_path)
    assert train(tmp_path / "run", "--labelled", stills, "--init", "builtin") == 0
    _, spec = load_static(tmp_path / "static")
    assert json.loads((tmp_path / "run/config.json").read_text())["config"]["init_weights"] == spec.weights_id
    monkeypatch.setattr("abaw.weights._ROOT", tmp_path / "nowhere")
    assert train(tmp_path / "other", "--labelled", stills, "--init", "builtin") == 1
    assert "this package has no static checkpoint" in capsys.readouterr().err


BOX = Crop("box", 224, 0.3)


@pytest.mark.parametrize("crop", [None, Crop("official", 112), BOX])
def test_a_checkpoint_declares_the_crops_that_it_was_trained_on(
    tmp_path: Path, crop: Crop | None, capsys: pytest.CaptureFixture[str]
) -> None:
    meta = {} if crop is None else {"crop": to_plain(crop)}
    path = still_store(tmp_path / "stills.arrow", [index % 8 for index in range(32)], meta=meta)
    assert train(tmp_path / "run", "--labelled", path) == 0
    _, spec = load_static(tmp_path / "run/last")
    assert spec.input["crop"] == to_plain(crop or ALIGNED_112)
    assert "are enlarged" not in capsys.readouterr().err


def test_faces_of_two_kinds_of_crop_are_refused(
    tmp_path: Path, stills: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loose = still_store(tmp_path / "loose.arrow", [0, 1, 2, 3], meta={"crop": to_plain(BOX)})
    message = (
        f"{loose}: holds box:224:0.30 crops, but {stills} holds aligned:112; use stores of one kind of crop (--crop of "
        "extract and import-images)"
    )
    assert train(tmp_path / "run", "--labelled", stills, loose) == 1
    assert message in capsys.readouterr().err
    words = ["--method", "fixmatch", "--labelled", stills, "--unlabelled", loose]
    assert train(tmp_path / "run", *words) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_note_when_crops_are_smaller_than_the_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = still_store(
        tmp_path / "s.arrow", [index % 8 for index in range(32)], meta={"crop": to_plain(Crop("aligned", 24))}
    )
    assert train(tmp_path / "run", "--labelled", path, "--size", "32", "--train.steps", "3") == 0
    assert "aligned:24 crops are enlarged to the model's 32 pixels; larger ones show more" in capsys.readouterr().err
