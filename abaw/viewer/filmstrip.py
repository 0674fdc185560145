"""Small faces sampled along a video, joined into one picture."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from abaw.viewer.person_timeline import PersonTimeline

SIDE = 72
_MAX_FACES = 60
_QUALITY = 82


@dataclass(frozen=True, slots=True)
class Filmstrip:
    """frames: the frame number of each face, from 1; jpeg: the faces in a row, SIDE × SIDE pixels each, or None."""

    frames: tuple[int, ...]
    jpeg: bytes | None


def filmstrip(person: PersonTimeline) -> Filmstrip:
    """At most 60 faces, spaced evenly over the frames that have one."""
    rows = np.flatnonzero(person.valid)
    if not len(rows):
        return Filmstrip((), None)
    count = min(_MAX_FACES, len(rows))
    chosen = rows[((np.arange(count) + 0.5) * len(rows) / count).astype(int)].tolist()
    strip = Image.new("RGB", (count * SIDE, SIDE))
    for place, row in enumerate(chosen):
        with Image.open(BytesIO(person.faces.jpeg(row) or b"")) as face:
            strip.paste(face.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX), (place * SIDE, 0))
    data = BytesIO()
    strip.save(data, "JPEG", quality=_QUALITY)
    return Filmstrip(tuple(row + 1 for row in chosen), data.getvalue())


def portrait(person: PersonTimeline) -> bytes | None:
    """JPEG of the face on the frame where the person's most frequent class is most probable; None without a face."""
    rows = np.flatnonzero(person.valid)
    if not len(rows):
        return None
    label = int(np.bincount(person.labels[rows]).argmax())
    return person.faces.jpeg(int(rows[np.argmax(person.probs[rows, label])]))
