"""Contact sheets: sampled frames of a video with the boxes of all tracks, to check by eye who was chosen."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from abaw.core.artifacts import write_bytes
from abaw.stores.arrow import StoreError, read_meta
from abaw.video.people.crop_samples import CropSample, sample_strip
from abaw.video.reading.registry import open_video

COLOURS: Final = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
"""Okabe and Ito's palette, safe for colour-blind readers. A person keeps one colour throughout the sheet."""
_FRAMES = 12
_COLUMNS = 4
_TILE_WIDTH = 480
_TILE_HEIGHTS = (200, 480)
_LINE = 28
SUBJECTS_SHOWN: Final = 6


@dataclass(frozen=True, slots=True)
class Review:
    """What a store says about the person that it shows.

    choice: `main`, `left`, `right`, `track` or `corrected`; margin, runner_up: see ChosenTracks; people: the tracks of
    each, heaviest first; samples: (track, x1, y1, x2, y2) by frame.
    """

    video: str
    subject: str
    choice: str
    tracks: tuple[int, ...]
    margin: float | None
    runner_up: tuple[int, ...]
    faces: int
    num_frames: int
    people: tuple[tuple[int, ...], ...]
    reader: str
    square_pixels: bool
    samples: Mapping[int, Sequence[tuple[int, int, int, int, int]]]

    @property
    def line(self) -> str:
        tracks = ", ".join(map(str, self.tracks)) or "none"
        text = f"{self.subject} ({self.choice}): track {tracks}, {self.faces} of {self.num_frames} frames"
        if self.margin is None or not self.runner_up:
            return text
        return f"{text}, margin {self.margin:.2f} over track {', '.join(map(str, self.runner_up))}"


def read_review(path: Path) -> Review:
    """Raises StoreError for a store that does not exist or does not list its tracks."""
    meta = read_meta(path)
    if meta is None:
        raise StoreError(f"{path}: no such store; extract the video first")
    if "samples" not in meta:
        raise StoreError(f"{path}: does not list its tracks; remove it and extract the video again")
    return Review(
        video=meta["video"],
        subject=meta["subject"],
        choice=meta["choice"],
        tracks=tuple(meta["tracks"]),
        margin=meta["margin"],
        runner_up=tuple(meta["runner_up"]),
        faces=meta["faces"],
        num_frames=meta["num_frames"],
        people=tuple(tuple(person["tracks"]) for person in meta["people"]),
        reader=meta["options"]["reader"],
        square_pixels=meta["options"].get("square_pixels", False),
        samples={one["frame"]: [tuple(face) for face in one["faces"]] for one in meta["samples"]},
    )


def by_doubt(reviews: Iterable[Review]) -> list[Review]:
    """The closest choice first; those without a margin last, by name."""
    return sorted(reviews, key=lambda one: (one.margin is None, one.margin or 0.0, one.subject))


def write_sheet(path: Path, video: Path, reviews: Sequence[Review], samples: Sequence[CropSample]) -> None:
    """Write the PNG of one video with the people `reviews` and crops of their stores.

    Decodes up to the last sampled frame, detects nothing."""
    boxes = reviews[0].samples
    frames = sorted(boxes)
    wanted = sorted({frames[round(place)] for place in np.linspace(0, len(frames) - 1, _FRAMES)})
    tiles = [_tile(image, number, boxes[number], reviews) for number, image in _frames(video, wanted, reviews[0])]
    data = io.BytesIO()
    Image.fromarray(_sheet(tiles, reviews, samples)).save(data, "PNG")
    write_bytes(path, data.getvalue())


def _frames(video: Path, wanted: Sequence[int], review: Review) -> Iterable[tuple[int, NDArray[np.uint8]]]:
    with open_video(video, review.reader, review.square_pixels) as frames:
        for frame in frames:
            if frame.index in wanted and frame.image is not None:
                yield frame.index, frame.image
            if frame.index >= wanted[-1]:
                return


def _tile(
    image: NDArray[np.uint8],
    number: int,
    faces: Sequence[tuple[int, int, int, int, int]],
    reviews: Sequence[Review],
) -> NDArray[np.uint8]:
    """One frame (H, 480, 3) with a box and a track number per face; chosen ones have a thick box and a star."""
    height, width = image.shape[:2]
    tile_height = int(np.clip(round(_TILE_WIDTH * height / width), *_TILE_HEIGHTS))
    scale = min(_TILE_WIDTH / width, tile_height / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    canvas = Image.new("RGB", (_TILE_WIDTH, tile_height))
    left, top = (_TILE_WIDTH - size[0]) // 2, (tile_height - size[1]) // 2
    canvas.paste(Image.fromarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA)), (left, top))
    draw = ImageDraw.Draw(canvas)
    shown = [review.tracks for review in reviews]
    groups = [*shown, *(one for one in reviews[0].people if not any(set(one) <= set(tracks) for tracks in shown))]
    for track, *box in sorted(faces, reverse=True):
        x1, y1, x2, y2 = np.rint(np.array(box) * scale + [left, top, left, top]).astype(int).tolist()
        owners = [review for review in reviews if track in review.tracks]
        colour = _colour(track, groups)
        corners = (x1, y1, max(x1, x2), max(y1, y2))
        if owners:
            draw.rectangle((corners[0] - 3, corners[1] - 3, corners[2] + 3, corners[3] + 3), outline="white", width=7)
        draw.rectangle(corners, outline=colour, width=4 if owners else 2)
        mark = "" if not owners else f"★ {owners[0].choice} " if len(reviews) > 1 else "★ "
        # Labels of chosen faces go above the box, others below: neighbours do not hide each other's numbers.
        _label(draw, (corners[0], corners[1] - _LINE if owners else corners[3] + 4), f"{mark}{track}", colour)
    _label(draw, (0, 0), f"frame {number}", (255, 255, 255))
    return np.asarray(canvas, np.uint8)


def _colour(track: int, groups: Sequence[tuple[int, ...]]) -> tuple[int, int, int]:
    place = next((place for place, tracks in enumerate(groups) if track in tracks), track)
    return COLOURS[place % len(COLOURS)]


def _label(draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, colour: tuple[int, int, int]) -> None:
    """Black or white text on a plate of that colour, kept inside the tile."""
    right, bottom = draw.textbbox((0, 0), text, font=_font())[2:]
    width, height = draw.im.size
    x = min(max(place[0], 0), width - int(right) - 6)
    y = min(max(place[1], 0), height - int(bottom) - 6)
    draw.rectangle((x, y, x + right + 6, y + bottom + 4), fill=colour)
    draw.text((x + 3, y + 1), text, fill="white" if sum(colour) < 320 else "black", font=_font())


def _sheet(
    tiles: Sequence[NDArray[np.uint8]], reviews: Sequence[Review], samples: Sequence[CropSample]
) -> NDArray[np.uint8]:
    tallest = max((len(tile) for tile in tiles), default=0)
    level = [np.pad(tile, ((0, tallest - len(tile)), (0, 0), (0, 0))) for tile in tiles]
    padded = [*level, *[np.zeros((tallest, _TILE_WIDTH, 3), np.uint8)] * (-len(tiles) % _COLUMNS)]
    rows = [np.hstack(padded[start : start + _COLUMNS]) for start in range(0, len(padded), _COLUMNS)]
    lines = [reviews[0].video, *(review.line for review in reviews[:SUBJECTS_SHOWN])]
    if len(reviews) > SUBJECTS_SHOWN:
        lines.append(f"and {len(reviews) - SUBJECTS_SHOWN} more stores")
    head = Image.new("RGB", (_COLUMNS * _TILE_WIDTH, _LINE * len(lines) + 12), "white")
    draw = ImageDraw.Draw(head)
    for place, line in enumerate(lines):
        draw.text((10, 6 + place * _LINE), line, fill="black", font=_font())
    crops = sample_strip(samples, _COLUMNS * _TILE_WIDTH, _font())
    return np.vstack([np.asarray(head, np.uint8), crops, *rows])


def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", 20)
