"""The optional reader: what is said where it cannot be used, and what it refuses where it can."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from abaw.core.errors import ConfigError, DataError
from abaw.video.reading import torchcodec
from tests.video.damage import flip, packet_places
from tests.video.numbered import write_numbered
from tests.video.readers import loads, read


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_numbered(tmp_path_factory.mktemp("clips") / "clip.mp4", 40)


def test_not_installed(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchcodec", None)
    with pytest.raises(ConfigError, match=r"not installed; `pip install 'abaw\[torchcodec\]'`, or omit --reader"):
        read(clip, "torchcodec")


def test_installed_without_ffmpeg(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("torchcodec")
    package.ffmpeg_major_version = None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchcodec", package)
    monkeypatch.setattr(torchcodec, "version", lambda name: {"torchcodec": "0.17", "torch": "2.15"}[name])
    with pytest.raises(
        ConfigError, match=r"torchcodec 0\.17 is installed but cannot be loaded.*FFmpeg 4.*PyTorch 2\.15"
    ):
        read(clip, "torchcodec")


@pytest.mark.skipif(not loads("torchcodec"), reason="torchcodec cannot be loaded")
def test_damage_ends_in_one_message_that_names_the_other_reader(clip: Path, tmp_path: Path) -> None:
    damaged = flip(clip, tmp_path / "damaged.mp4", [packet_places(clip)[20]], at=0, length=4)
    with pytest.raises(DataError, match=r"torchcodec stopped after frame \d+ of 40; .*pyav"):
        read(damaged, "torchcodec")
