"""The file that a page plays: the source or a copy, embedded in the page or linked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import cv2

from abaw.core.artifacts import atomic_path
from abaw.core.errors import DataError
from abaw.core.progress import Progress, silent
from abaw.page.parts import address
from abaw.protocol.layout import is_image
from abaw.video.playable import playable_mime, write_playable
from abaw.video.reading.registry import STILL, open_video

Keep = Literal["auto", "embed", "link"]
EMBED_MB: Final = 32
"""`auto` links larger files, because a page that embeds them takes long to open."""
_IMAGE_MIMES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}


@dataclass(frozen=True, slots=True)
class Media:
    """A file for a page. data: its bytes, to embed, or None; link: its address relative to the page, or None."""

    mime: str
    data: bytes | None
    link: str | None

    @property
    def is_image(self) -> bool:
        return self.mime.startswith("image/")


def prepare_media(source: Path, page: Path, keep: Keep, meta: Mapping[str, Any], progress: Progress = silent) -> Media:
    """The file that the page at `page` plays.

    This is `source` itself when browsers can play it and all its frames were decoded; otherwise an H.264 copy, stored
    next to the page (`<page>.web.mp4`) when it is linked. meta: metadata of a faces store of this video.
    Raises DataError when an image cannot be converted to PNG.
    """
    mime = _mime(source, meta)
    if mime is not None:
        return _kept(source, mime, page, keep)
    copy = _copy(source, page)
    if is_image(source):
        return _converted(source, copy, page, keep)
    write_playable(source, copy, meta["options"]["reader"], progress)
    media = _kept(copy, "video/mp4", page, keep)
    if media.data is not None:
        copy.unlink()
    return media


def copy_beside(source: Path, page: Path, meta: Mapping[str, Any] | None = None) -> Path | None:
    """The file that `prepare_media` writes next to the page, and keeps when it is linked; None when it needs none.

    meta: as there; None before the video was read, when no frame counts as damaged.
    """
    return _copy(source, page) if _mime(source, meta) is None else None


def _copy(source: Path, page: Path) -> Path:
    return page.with_suffix(".web.png" if is_image(source) else ".web.mp4")


def _mime(source: Path, meta: Mapping[str, Any] | None) -> str | None:
    """The kind of a file that browsers show as it is, None for any other."""
    if is_image(source):
        return _IMAGE_MIMES.get(source.suffix.lower())
    whole = meta is None or not (meta["missing_frames"] or meta["lost_frames"])
    return playable_mime(source) if whole else None


def _kept(file: Path, mime: str, page: Path, keep: Keep) -> Media:
    if keep == "embed" or (keep == "auto" and file.stat().st_size <= EMBED_MB * 2**20):
        return Media(mime, file.read_bytes(), None)
    relative = os.path.relpath(file.resolve(), page.parent.resolve())
    return Media(mime, None, address(relative))


def _converted(source: Path, copy: Path, page: Path, keep: Keep) -> Media:
    with open_video(source, STILL) as frames:
        (frame,) = frames
    encoded, data = (
        cv2.imencode(".png", cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)) if frame.image is not None else (False, None)
    )
    if not encoded or data is None:
        raise DataError(f"{source}: could not be converted to PNG")
    if keep != "link":
        return Media("image/png", data.tobytes(), None)
    with atomic_path(copy) as temporary:
        temporary.write_bytes(data.tobytes())
    return _kept(copy, "image/png", page, keep)
