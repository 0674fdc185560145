"""Commands on a real Ray cluster: the same files as with the local engine, also when a node is killed part-way."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.cli import main
from tests.attack.conftest import ROUNDS
from tests.checkpoints import static_checkpoint
from tests.data.faces import video_store
from tests.engine.functions import wait
from tests.pipelines.temporal_data import TINY, data_flags, make_data
from tests.ray_cluster import RayCluster
from tests.video.clips import portraits, write_clip

pytestmark = pytest.mark.slow

GRID = ["--holdout", "0.34", "--train.steps", "40", "--train.checkpoint_every", "10", "--vary", "window=20,40"]

_PATIENCE_S = 600
"""A cluster takes long to start on a busy machine. The checks are on what comes out, not on when."""


@dataclass
class Case:
    """A command without --out. made: patterns of what is compared; begun: of what is there part-way; total: of it."""

    words: list[str]
    made: Sequence[str]
    begun: str
    total: int
    local: Path = field(default_factory=Path)


def _extract(root: Path) -> Case:
    (root / "videos").mkdir()
    for name, seconds in (("a", 30), ("b", 12), ("c", 20), ("d", 25), ("e", 9), ("f", 30)):
        write_clip(root / "videos" / f"{name}.mp4", portraits(seconds, side=128))
    (root / "videos" / "no video.mp4").write_text("no video")
    return Case(["extract", str(root / "videos"), "--detector", "builtin"], ["*.arrow"], "*.arrow", 6)


def _features(root: Path) -> Case:
    static_checkpoint(root / "ckpt")
    for name in "abcdef":
        video_store(root / f"faces/{name}.arrow", [0, 1, None, 3] * 100)
    words = ["features", "--faces", str(root / "faces"), "--checkpoint", str(root / "ckpt"), "--accelerator", "cpu"]
    return Case([*words, "--batch_size", "2"], ["*.arrow"], "*.arrow", 6)


def _ablate(root: Path) -> Case:
    make_data(root)
    words = ["ablate", *data_flags(root), *TINY, *GRID, "--seeds", "0", "1"]
    return Case(words, ["cells/*/predictions/*.arrow", "cells/*/last/weights.safetensors"], "cells/*/cell.json", 4)


def _write_jpeg(path: Path, picture: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture[..., ::-1])


def _import_crops(root: Path) -> Case:
    for video in ("a", "b"):
        for frame in (1, 2, 4):  # no image of frame 3
            _write_jpeg(root / "crops" / video / f"{frame:05d}.jpg", portraits(1, side=112)[0])
    return Case(["import-crops", str(root / "crops")], ["*.arrow"], "*.arrow", 2)


def _import_images(root: Path) -> Case:
    for number in range(4):
        _write_jpeg(root / "photos" / f"{number}.jpg", portraits(4, side=160)[number])
    words = ["import-images", "--dataset", "unlabelled", "--root", str(root / "photos"), "--detector", "builtin"]
    return Case(words, ["*.arrow"], "*.arrow", 1)


def _predict_video(root: Path) -> Case:
    (root / "videos").mkdir()
    for name in ("a", "b"):
        write_clip(root / "videos" / f"{name}.mp4", portraits(6, side=128))
    words = ["predict-video", str(root / "videos"), "--detector", "builtin", "--temporal", "builtin"]
    made = ["*.csv", "*.html", "stores/*/*.arrow"]
    return Case([*words, "--accelerator", "cpu", "--smoothing", "none"], made, "*.csv", 2)


@pytest.mark.parametrize("make", [_import_crops, _import_images, _predict_video])
def test_other_commands_make_the_same_files(
    make: Callable[[Path], Case], ray_cluster: RayCluster, tmp_path: Path
) -> None:
    case = make(tmp_path)
    for out, more in (("local", ["--workers", "2"]), ("ray", ["--engine", f"ray:{ray_cluster.address}"])):
        assert main([*case.words, "--out", str(tmp_path / out), *more]) == 0
    assert _files(case, tmp_path / "ray") == _files(case, tmp_path / "local") != {}


@pytest.fixture(scope="module", params=[_extract, _features, _ablate], ids=["extract", "features", "ablate"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    root = tmp_path_factory.mktemp("case")
    made: Case = request.param(root)
    made.local = root / "local"
    main([*made.words, "--out", str(made.local), "--workers", "1"])
    return made


def _files(case: Case, out: Path) -> dict[str, bytes]:
    paths = [path for pattern in case.made for path in out.glob(pattern)]
    return {str(path.relative_to(out)): path.read_bytes() for path in paths}


@contextmanager
def _meanwhile(ready: Callable[[], bool], act: Callable[[], None]) -> Iterator[None]:
    """Do something once it is ready, in another thread."""

    def wait_and_act() -> None:
        wait(ready, _PATIENCE_S)
        act()

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    yield
    thread.join()


def test_the_files_and_messages_are_those_of_the_local_engine(
    case: Case, ray_cluster: RayCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*case.words, "--out", str(tmp_path), "--engine", f"ray:{ray_cluster.address}"]
    failing = case.words[0] == "extract"
    assert main(words) == int(failing)
    assert _files(case, tmp_path) == _files(case, case.local) != {}
    said = capsys.readouterr().err
    assert ("no video.mp4: failed: " in said) == ("6 done, 1 failed:" in said) == failing
    assert main(words) == int(failing)
    assert ("already" in capsys.readouterr().err) and _files(case, tmp_path) == _files(case, case.local)


@pytest.mark.parametrize("repetition", range(ROUNDS))
def test_a_node_that_is_killed_part_way_changes_nothing(
    case: Case, ray_cluster: RayCluster, tmp_path: Path, repetition: int
) -> None:
    left: list[int] = []

    def kill() -> None:
        ray_cluster.kill_node()
        left.append(case.total - len(list(tmp_path.glob(case.begun))))

    with _meanwhile(lambda: bool(list(tmp_path.glob(case.begun))), kill):
        main([*case.words, "--out", str(tmp_path), "--engine", f"ray:{ray_cluster.address}"])
    ray_cluster.complete()
    assert left[0] > 0, "killed when everything was done"
    assert _files(case, tmp_path) == _files(case, case.local)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_command_that_is_ended_part_way_goes_on_when_it_is_run_again(
    number: signal.Signals, case: Case, ray_cluster: RayCluster, tmp_path: Path
) -> None:
    words = [*case.words, "--out", str(tmp_path), "--engine", f"ray:{ray_cluster.address}"]
    command = [sys.executable, "-m", "pipelines.cli", *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait(lambda: bool(list(tmp_path.glob(case.begun))), _PATIENCE_S)
    process.send_signal(number)
    sent = time.monotonic()
    _, said = process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert time.monotonic() - sent < 20 and "Traceback" not in said
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob(case.begun)}
    main(words)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert _files(case, tmp_path) == _files(case, case.local)
