"""The file that a page plays: embedded or linked, the source or a copy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import pytest

from abaw.viewer import media as module
from abaw.viewer.media import prepare_media
from tests.video.numbered import numbered_picture, write_numbered

META: dict[str, Any] = {"missing_frames": 0, "lost_frames": 0, "options": {"reader": "pyav"}}


def test_a_small_file_is_embedded(tmp_path: Path) -> None:
    source = write_numbered(tmp_path / "clip.mp4", 3)
    found = prepare_media(source, tmp_path / "clip.html", "auto", META)
    assert (found.mime, found.data, found.link) == ("video/mp4", source.read_bytes(), None)


def test_a_large_file_is_linked_relative_to_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EMBED_MB", 0)
    (tmp_path / "my videos").mkdir()
    source = write_numbered(tmp_path / "my videos" / "ü 1.mp4", 3)
    found = prepare_media(source, tmp_path / "out" / "clip.html", "auto", META)
    assert (found.data, found.link) == (None, "../my%20videos/%C3%BC%201.mp4")
    assert prepare_media(source, tmp_path / "out" / "clip.html", "embed", META).data == source.read_bytes()


def test_a_file_that_browsers_cannot_play_is_copied(tmp_path: Path) -> None:
    source = write_numbered(tmp_path / "clip.avi", 3, "mpeg4")
    linked = prepare_media(source, tmp_path / "clip.html", "link", META)
    assert linked.link == "clip.web.mp4" and (tmp_path / "clip.web.mp4").stat().st_size
    (tmp_path / "clip.web.mp4").unlink()
    inside = prepare_media(source, tmp_path / "clip.html", "embed", META)
    assert inside.data is not None and b"moov" in inside.data
    assert [path.name for path in tmp_path.iterdir()] == ["clip.avi"]


def test_a_video_with_damaged_frames_is_copied(tmp_path: Path) -> None:
    """A browser skips frames that it cannot decode, so its frame numbers would differ from the stores'."""
    source = write_numbered(tmp_path / "clip.mp4", 3)
    found = prepare_media(source, tmp_path / "clip.html", "link", {**META, "lost_frames": 1})
    assert found.link == "clip.web.mp4"


@pytest.mark.parametrize(("ending", "mime"), [("jpg", "image/jpeg"), ("png", "image/png"), ("bmp", "image/png")])
def test_images(tmp_path: Path, ending: str, mime: str) -> None:
    source = tmp_path / f"photo.{ending}"
    assert cv2.imwrite(str(source), numbered_picture(1))
    found = prepare_media(source, tmp_path / "photo.html", "embed", META)
    assert found.mime == mime and found.data and found.is_image
    linked = prepare_media(source, tmp_path / "photo.html", "link", META)
    assert linked.link == ("photo.web.png" if ending == "bmp" else source.name)
