"""The annotated video: every frame with its boxes, classes and probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from abaw.core.artifacts import atomic_path, write_bytes
from abaw.core.errors import DataError
from abaw.core.progress import Progress, silent
from abaw.page.palette import CLASS_COLOURS, ink_on, rgb
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.protocol.layout import is_image
from abaw.video.encode import H264Writer
from abaw.video.reading.registry import STILL, open_video
from abaw.viewer.person_timeline import PersonTimeline

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

_COLOURS: tuple[Colour, ...] = tuple(rgb(colour) for colour in CLASS_COLOURS.values())
_INKS: tuple[Colour, ...] = tuple(rgb(ink_on(colour)) for colour in CLASS_COLOURS.values())
_GROUND, _SUNK, _INK, _SOFT = (17, 23, 29), (38, 47, 56), (232, 237, 242), (159, 173, 186)
_ROWS = len(EXPRESSION_CLASSES) + 2
_LINES = 14
_ROW_PX = (9, 44)


def render_video(
    source: Path,
    target: Path,
    people: Sequence[PersonTimeline],
    frame_wh: tuple[int, int],
    reader: str,
    progress: Progress = silent,
) -> None:
    """Write the frames of `source` at their times, each with boxes and a panel of bars on the right, to `target`.

    The sound is kept. The file is complete or absent. For a still image it is a PNG. A frame that cannot be decoded is
    black. frame_wh: size of the picture in pixels. Raises DataError when the number of frames has changed since the
    people were read.
    """
    if is_image(source):
        _render_image(source, target, people)
        return
    count = 0
    with open_video(source, reader) as video, atomic_path(target) as temporary:
        with H264Writer(temporary, video.fps, sound=source) as writer:
            for frame in video:
                count = frame.index
                if count > len(people[0]):
                    break
                picture = frame.image if frame.image is not None else np.zeros((frame_wh[1], frame_wh[0], 3), np.uint8)
                writer.add(draw_frame(picture, people, count - 1), frame.time_s)
                progress(count, len(people[0]))
        if count != len(people[0]):
            raise DataError(
                f"{source}: has {count} frames, but its results have {len(people[0])}; remove them and run again"
            )


def _render_image(source: Path, target: Path, people: Sequence[PersonTimeline]) -> None:
    with open_video(source, STILL) as frames:
        (frame,) = frames
    if frame.image is not None:
        data = BytesIO()
        Image.fromarray(draw_frame(frame.image, people, 0)).save(data, "PNG")
        write_bytes(target, data.getvalue())


def draw_frame(image: Picture, people: Sequence[PersonTimeline], row: int) -> Picture:
    """Draw the boxes of row `row` (frame `row` + 1) on an RGB image (H, W, 3) and add a panel on the right.

    Returns (H, W + panel, 3).
    """
    height = image.shape[0]
    size = int(np.clip(height / _LINES, *_ROW_PX))
    visible = [(place, person) for place, person in enumerate(people) if person.valid[row]]
    canvas = image.copy()
    for place, person in visible:
        _box(canvas, person, row, f"{place + 1}  " if len(people) > 1 else "", size)
    panel = np.full((height, 11 * size, 3), _GROUND, np.uint8)
    for slot, (place, person) in enumerate(visible[: max(1, height // (_ROWS * size))]):
        _bars(
            panel, person, row, f"person {place + 1}" if len(people) > 1 else "", slot * _ROWS * size + size // 2, size
        )
    if not visible:
        _write(panel, "no face", (size // 2, size // 2), size, _SOFT)
    return np.hstack([canvas, panel])


def _box(canvas: Picture, person: PersonTimeline, row: int, mark: str, size: int) -> None:
    """Draw a box in the colour of its class, with the class above it, or inside it at the top of the picture."""
    label = int(person.labels[row])
    x1, y1, x2, y2 = np.rint(person.box_xyxy[row]).astype(int).tolist()
    thick = max(1, size // 10)
    cv2.rectangle(canvas, (x1, y1), (x2, y2), (0, 0, 0), thick + 2, cv2.LINE_AA)
    cv2.rectangle(canvas, (x1, y1), (x2, y2), _COLOURS[label], thick, cv2.LINE_AA)
    text = f"{mark}{EXPRESSION_CLASSES[label]}  {100 * person.probs[row, label]:.0f} %"
    width = _text(text, size).shape[1] + size // 2
    left = int(np.clip(x1, 0, max(0, canvas.shape[1] - width)))
    top = y1 - size - 4 if y1 >= size + 4 else max(y1, 0) + 2
    cv2.rectangle(canvas, (left, top), (left + width, top + size + 2), _COLOURS[label], -1)
    _write(canvas, text, (left + size // 4, top + 1), size, _INKS[label])


def _bars(panel: Picture, person: PersonTimeline, row: int, title: str, top: int, size: int) -> None:
    """Draw one row per class: name, bar, percentage; the most probable class is brighter."""
    label = int(person.labels[row])
    left, width = 5 * size, 3 * size
    if title:
        _write(panel, title, (size // 2, top), size, _INK)
    for index, name in enumerate(EXPRESSION_CLASSES):
        y = top + (index + (1 if title else 0)) * size
        ink = _INK if index == label else _SOFT
        _write(panel, name, (size // 2, y), size, ink)
        value = float(person.probs[row, index])
        low, high = y + size // 5, y + size - size // 5
        cv2.rectangle(panel, (left, low), (left + width, high), _SUNK, -1)
        if round(value * width):
            cv2.rectangle(panel, (left, low), (left + round(value * width), high), _COLOURS[index], -1)
        _write(panel, f"{100 * value:.0f} %", (left + width + size // 3, y), size, ink)


def _write(canvas: Picture, text: str, place: tuple[int, int], size: int, colour: Colour) -> None:
    """Draw text in a line of `size` pixels, cut off at the edges of the canvas."""
    x, y = place
    cover = _text(text, size)[: max(0, canvas.shape[0] - y), : max(0, canvas.shape[1] - x)]
    if x < 0 or y < 0 or not cover.size:
        return
    part = canvas[y : y + cover.shape[0], x : x + cover.shape[1]]
    weight = cover[..., None].astype(np.float32) / 255
    part[:] = np.rint(part * (1 - weight) + np.array(colour, np.float32) * weight).astype(np.uint8)


@lru_cache(maxsize=4096)
def _text(text: str, size: int) -> Picture:
    """Coverage of a line of text, (size, width) in 0..255."""
    font = _font(size)
    width = int(np.ceil(font.getlength(text))) + 1
    line = Image.new("L", (width, size))
    ImageDraw.Draw(line).text((0, size / 2), text, fill=255, font=font, anchor="lm")
    return np.asarray(line, np.uint8)


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    # Loaded on use: it takes a while, and only annotated videos need it, for its font.
    import matplotlib

    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(fonts / "DejaVuSans.ttf", max(7, round(0.68 * size)))
