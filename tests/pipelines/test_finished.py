"""Large batches are resumed without opening what is finished."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from abaw.stores.arrow import find_stores
from pipelines.cli import main
from tests.checkpoints import static_checkpoint
from tests.data.faces import video_store
from tests.video.clips import portraits, write_clip


@pytest.fixture(autouse=True)
def two_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pipelines.finished", "abaw.stores.folders"):
        monkeypatch.setattr(f"{module}.MOST_IN_A_FOLDER", 1)


def _pause() -> None:
    """What is made from now on is newer than what exists, also by coarse clocks."""
    time.sleep(0.05)


def test_features_and_predictions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    static_checkpoint(tmp_path / "ckpt")
    for name in "abc":
        video_store(tmp_path / f"faces/{name}.arrow", [0, 1, None])
    _pause()
    words = ["features", "--faces", str(tmp_path / "faces"), "--checkpoint", str(tmp_path / "ckpt")]
    words += ["--accelerator", "cpu", "--out", str(tmp_path / "features")]
    predict = ["predict", "--features", str(tmp_path / "features"), "--checkpoint", str(tmp_path / "ckpt")]
    predict += ["--accelerator", "cpu", "--out", str(tmp_path / "predictions")]
    for command in (words, predict):
        assert main(command) == 0
        _pause()
        assert [path.name for path in find_stores([Path(command[-1])])] == ["a.arrow", "b.arrow", "c.arrow"]
        capsys.readouterr()
        with monkeypatch.context() as patched:
            patched.setattr("abaw.stores.arrow.is_done", lambda *arguments: pytest.fail("a store is opened"))
            patched.setattr("abaw.inference.features.is_done", lambda *arguments: pytest.fail("a store is opened"))
            assert main(command) == 0
        assert capsys.readouterr().err == "3 of 3 are finished already\n"
    find_stores([tmp_path / "features"])[0].unlink()
    assert main(words) == 0
    said = capsys.readouterr().err
    assert said.startswith("2 of 3 are finished already\n") and "a: 3 frames" in said
    static_checkpoint(tmp_path / "ckpt", seed=1)
    assert main(words) == 1, "of another checkpoint"
    assert "made from another input or with other settings" in capsys.readouterr().err


def test_videos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "ab":
        write_clip(tmp_path / f"{name}.mp4", portraits(4, side=128))
    _pause()
    words = ["extract", str(tmp_path), "--detector", "builtin", "--out", str(tmp_path / "faces")]
    assert main(words) == 0
    capsys.readouterr()
    assert main(words) == 0
    assert "2 of 2 are finished already" in capsys.readouterr().err
    assert main([*words, "--jpeg_quality", "80"]) == 1
    assert capsys.readouterr().err.count("failed: ") == 2
    assert main([*words, "--review"]) == 0 and (tmp_path / "faces/review/a.png").exists()
