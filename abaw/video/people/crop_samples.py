"""The strip of a contact sheet that shows a crop of every store, with its kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from abaw.stores.crop import Crop
from abaw.stores.faces import open_faces

_TILE = 240
_LARGEST = 224
"""Larger crops are shown at this size, smaller ones at their own."""


@dataclass(frozen=True, slots=True)
class CropSample:
    """A crop of one store. image: (N, N, 3) RGB, None if the store shows no face."""

    crop: Crop
    subject: str
    image: NDArray[np.uint8] | None


def read_sample(path: Path, subject: str) -> CropSample:
    """The middle one of the crops in a store. Raises StoreError for a damaged store."""
    faces = open_faces(path)
    rows = np.flatnonzero(faces.valid)
    jpeg = faces.jpeg(int(rows[len(rows) // 2])) if len(rows) else None
    return CropSample(faces.crop, subject, None if jpeg is None else _decoded(jpeg))


def _decoded(jpeg: bytes) -> NDArray[np.uint8] | None:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    return None if image is None else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def sample_strip(samples: Sequence[CropSample], width: int, font: ImageFont.FreeTypeFont) -> NDArray[np.uint8]:
    """(H, width, 3): the crops from left to right, below their kinds, and their subjects if there are several."""
    per_row, line = width // _TILE, round(font.size * 1.3)
    several = len({sample.subject for sample in samples}) > 1
    heading = line * (1 + several)
    height = _TILE + heading
    canvas = Image.new("RGB", (width, height * (-(-len(samples) // per_row))), "white")
    draw = ImageDraw.Draw(canvas)
    for place, sample in enumerate(samples):
        left, top = place % per_row * _TILE + 10, place // per_row * height
        if several:
            draw.text((left, top), _shortened(sample.subject, font), fill="black", font=font)
        draw.text((left, top + heading - line), str(sample.crop), fill="black", font=font)
        canvas.paste(_shown(sample), (left, top + heading))
    return np.asarray(canvas, np.uint8)


def _shown(sample: CropSample) -> Image.Image:
    """The crop itself; a grey square where there is none."""
    size = min(sample.crop.pixels, _LARGEST)
    if sample.image is None:
        return Image.new("RGB", (size, size), (200, 200, 200))
    image = Image.fromarray(sample.image)
    return image if image.size == (size, size) else image.resize((size, size))


def _shortened(text: str, font: ImageFont.FreeTypeFont) -> str:
    """The end of a text that fits into a tile: subjects of one video differ at their end."""
    while font.getlength(text) > _TILE - 20:
        text = f"…{text.lstrip('…')[1:]}"
    return text
