"""Inputs that another user keeps to himself, and places where only he may write.

Tests that run as root take away its privileges in the command; its files are given to another user.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.attack.commands import NINE, Command, commands
from tests.attack.conftest import Reference
from tests.attack.processes import Server

pytestmark = pytest.mark.slow
NOBODY = 65534


def give_away(path: Path, mode: int) -> None:
    """To another user, for whom alone the mode of its owner counts."""
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
        path.chmod(mode)
    else:
        path.chmod(mode & 0o077)


@pytest.fixture
def inputs(root_of_inputs: Path, tmp_path: Path) -> Path:
    """A copy of all inputs."""
    return Path(shutil.copytree(root_of_inputs, tmp_path / "in"))


def require_no_permission(status: int, said: str, path: Path) -> None:
    assert status == 1, said
    lines = [line for line in said.splitlines() if "no permission" in line and str(path) in line]
    assert lines and not any("remove" in line for line in lines), said
    assert "Traceback" not in said, said


@pytest.mark.parametrize(
    ("name", "unreadable"),
    [
        ("extract", "videos/clip 1.mp4"),
        ("extract", "videos"),
        ("import-images", "photos/Neutral/0.jpg"),
        ("import-images", "photos/Neutral"),
        ("import-crops", "crops/a/00001.jpg"),
        ("import-crops", "crops/a"),
        ("features", "faces/v1.arrow"),
        ("features", "faces"),
        ("features", "static/weights.safetensors"),
        ("features", "static/spec.json"),
        ("train-static", "stills.arrow"),
        ("train-temporal", "features/train1.arrow"),
        ("train-temporal", "annotations/Train_Set/train1.txt"),
        ("train-temporal", "annotations/Train_Set"),
        ("predict", "features/train1.arrow"),
        ("predict", "temporal/weights.safetensors"),
        ("predict", "temporal/spec.json"),
        ("predict", "temporal"),
        ("predict-video", "videos/clip 1.mp4"),
        ("ablate", "features/valid1.arrow"),
        ("ablate", "annotations/Validation_Set/valid1.txt"),
        ("submit", "predictions/train1.arrow"),
        ("submit", "template.txt"),
        ("validate", "predictions/valid1.arrow"),
        ("validate", "annotations/Validation_Set/valid1.txt"),
        ("bench", "scored.arrow"),
        ("export-crops", "faces/v2.arrow"),
    ],
)
def test_an_input_that_may_not_be_read(
    server: Server, inputs: Path, tmp_path: Path, name: str, unreadable: str
) -> None:
    give_away(inputs / unreadable, 0o700)
    words = commands(inputs)[name].to(tmp_path / "out")
    require_no_permission(*server.run(words, without_privileges=True), inputs / unreadable)


def test_a_config_file_that_may_not_be_read(server: Server, attacked: Mapping[str, Command], tmp_path: Path) -> None:
    config = tmp_path / "recipe.yaml"
    config.write_text("window: 50\n")
    give_away(config, 0o600)
    words = [*attacked["train-temporal"].to(tmp_path / "out"), "--config", str(config)]
    status, said = server.run(words, without_privileges=True)
    assert status in (1, 2) and "Traceback" not in said, said
    assert any("ermission" in line and str(config) in line for line in said.splitlines()), said


@pytest.mark.parametrize("name", commands(Path()))
def test_a_place_that_may_not_be_written(
    server: Server, attacked: Mapping[str, Command], tmp_path: Path, name: str
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    give_away(closed, 0o755)
    words = attacked[name].to(closed / "out")
    require_no_permission(*server.run(words, without_privileges=True), closed)
    assert not list(closed.iterdir())


@pytest.mark.parametrize("name", ["train-static", "train-temporal", "ablate", "bench", "pretrain"])
def test_a_run_that_may_only_be_read(
    server: Server, attacked: Mapping[str, Command], reference: Callable[[str], Reference], tmp_path: Path, name: str
) -> None:
    out = Path(shutil.copytree(reference(name).out, tmp_path / "out"))
    for path in (out, *out.rglob("*")):
        give_away(path, 0o755)
    words = attacked[name].to(out)
    require_no_permission(*server.run(words, without_privileges=True), out)


def test_nothing_else_is_in_the_way(server: Server, inputs: Path, tmp_path: Path) -> None:
    """Without privileges, but with every permission, each command does its work."""
    for name in NINE[:4]:
        status, said = server.run(commands(inputs)[name].to(tmp_path / name), without_privileges=True)
        assert status == 0, said
