"""Names of videos on disk, of subjects in two-person videos, and of frames."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from abaw.core.errors import DataError
from abaw.core.folders import user_files

VIDEO_SUFFIXES = frozenset(
    (  # noqa: SIM905 a list of words is easier to read
        ".3g2 .3gp .amv .apng .asf .avi .bik .divx .drc .dv .f4v .flv .gif .gxf .h264 .h265 .hevc .ivf .m1v .m2t .m2ts "
        ".m2v .m4v .mjpeg .mjpg .mk3d .mkv .mov .mp4 .mpe .mpeg .mpg .mpv .mts .mxf .nsv .nut .obu .ogm .ogv .qt .rm "
        ".rmvb .roq .swf .tp .trp .ts .vob .webm .wmv .wtv .xvid .y4m"
    ).split()
)
"""What FFmpeg opens as a video."""
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff"})
_ANIMATED = 0x02
"""The flag of a WebP's `VP8X` chunk."""

_ANIMATIONS = (".apng", ".gif")
_CHUNKS = 100
"""So many chunks of a PNG are searched."""

Side = Literal["left", "right"]
_SUBJECT = re.compile(r"^(?P<video>.+?)_(?P<side>left|right)(?P<number>_\d+)?$")
NUMBERED = r"_(?:person|track)[0-9]+"
"""What `extract --subjects all` adds to the name of a video, and added in earlier versions, as a regular expression."""

_NUMBERED = re.compile(rf"(?P<video>.+){NUMBERED}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Subject:
    """One person in one video, as named in the annotation files: `<video>`, `<video>_left`, `<video>_right_1`.

    side: the person's side of the picture, as the viewer sees it; None for the main person.
    """

    name: str
    video: str
    side: Side | None


def parse_subject(name: str) -> Subject:
    """Parse an annotation or template name; a suffix such as `_left` or `_right_1` marks one of two people."""
    match = _SUBJECT.match(name)
    if match is None:
        return Subject(name, name, None)
    return Subject(name, match["video"], "left" if match["side"] == "left" else "right")


def video_of(name: str) -> str:
    """The video of a person by the name of the store: `v` for `v_left`, `v_right_1`, `v_person2` and `v_track3`.

    `v_1` and `v_2` are videos of their own: only next to its video can such a name be told from that of a video.
    """
    match = _NUMBERED.fullmatch(name)
    return parse_subject(name).video if match is None else match["video"]


def frame_name(video: str, frame: int) -> str:
    """`<video>/00001.jpg`: frames count from 1, five digits (more when needed)."""
    return f"{video}/{frame:05d}.jpg"


def find_videos(paths: Iterable[Path]) -> list[Path]:
    """Video files among the paths and anywhere below the folders, sorted by name.

    A path to a file is accepted with any suffix. Raises DataError for a missing path, a folder without a video, or two
    videos with the same name, because their stores would overwrite each other.
    """
    return _find(paths, is_video, "video")


def find_media(paths: Iterable[Path], without: Iterable[Path] = ()) -> list[Path]:
    """Same as `find_videos`, for videos and still images. without: files and folders below the folders to leave out."""
    return _find(paths, lambda path: is_video(path) or is_image(path), "video or image", without)


def is_image(path: Path) -> bool:
    """Whether a file is a still image, by its suffix; an animated WebP or PNG is a video."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not _is_animated(path)


def is_animation(path: Path) -> bool:
    """Whether a file is an image of the kind that has several frames: a GIF, or an animated WebP or PNG."""
    return path.suffix.lower() in _ANIMATIONS or _is_animated(path)


def is_animated_webp(path: Path) -> bool:
    """Whether a file is a WebP image of several frames, by its header. False for a file that cannot be read."""
    return path.suffix.lower() == ".webp" and _is_animated(path)


def _is_animated(path: Path) -> bool:
    """Whether a WebP or PNG image has several frames, by its header. False for any other and for an unreadable file."""
    count = {".webp": _has_animated_webp, ".png": _has_animated_png}.get(path.suffix.lower())
    if count is None or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return count(file)
    except OSError:
        return False


def _has_animated_webp(file: BinaryIO) -> bool:
    head = file.read(21)
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20:21] and head[20] & _ANIMATED)


def _has_animated_png(file: BinaryIO) -> bool:
    """The chunk `acTL`, which comes before the image data, states the number of frames."""
    if file.read(8) != b"\x89PNG\r\n\x1a\n":
        return False
    for _ in range(_CHUNKS):
        length, kind = int.from_bytes(file.read(4)), file.read(4)
        if kind == b"acTL":
            return int.from_bytes(file.read(4)) > 1
        if kind in (b"IDAT", b"IEND", b""):
            return False
        file.seek(length + 4, os.SEEK_CUR)
    return False


def is_video(path: Path) -> bool:
    """Whether a file is a video, by its suffix; an animated WebP or PNG is one."""
    return path.suffix.lower() in VIDEO_SUFFIXES or _is_animated(path)


def _find(paths: Iterable[Path], wanted: Callable[[Path], bool], what: str, without: Iterable[Path] = ()) -> list[Path]:
    left_out = {path.resolve() for path in without}
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = _without(left_out, path, [file for file in user_files(path) if wanted(file) and file.is_file()])
            if not below:
                raise DataError(f"{path}: no {what} found; searched by suffix (.mp4, .avi, .mov, …)")
            found += below
        elif path.is_file():
            found.append(path)
        elif path.exists():
            raise DataError(f"{path}: is neither a file nor a folder (a pipe or a device); give a file")
        else:
            raise DataError(f"{path}: no such file or folder")
    by_name: dict[str, Path] = {}
    for file in found:
        other = by_name.setdefault(file.stem, file)
        if other.resolve() != file.resolve():
            raise DataError(
                f"two {what.replace(' or ', 's or ')}s are named '{file.stem}': {other} and {file}; "
                "rename one or process them separately"
            )
    return [by_name[name] for name in sorted(by_name)]


def _without(left_out: Collection[Path], folder: Path, files: Sequence[Path]) -> list[Path]:
    """The files found in a folder that are neither `left_out` (resolved) nor in one of these below the folder."""
    root = folder.resolve()
    below = {path for path in left_out if root in path.parents}
    places = ((file, root / file.relative_to(folder)) for file in files)
    return [file for file, place in places if below.isdisjoint((place, *place.parents))]
