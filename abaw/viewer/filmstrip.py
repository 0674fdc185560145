"""A strip of small faces along a video, as one picture."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from abaw.viewer.person import Person

SIDE = 72
_MOST = 60
_QUALITY = 82


@dataclass(frozen=True, slots=True)
class Filmstrip:
    """frames: of each face, from 1; jpeg: the faces side by side, SIDE pixels each, None when there is none."""

    frames: tuple[int, ...]
    jpeg: bytes | None


def filmstrip(person: Person, most: int = _MOST) -> Filmstrip:
    """At most `most` faces, evenly over the frames that have one."""
    rows = np.flatnonzero(person.valid)
    if not len(rows):
        return Filmstrip((), None)
    count = min(most, len(rows))
    chosen = rows[((np.arange(count) + 0.5) * len(rows) / count).astype(int)].tolist()
    strip = Image.new("RGB", (count * SIDE, SIDE))
    for place, row in enumerate(chosen):
        with Image.open(BytesIO(person.faces.jpeg(row) or b"")) as face:
            strip.paste(face.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX), (place * SIDE, 0))
    data = BytesIO()
    strip.save(data, "JPEG", quality=_QUALITY)
    return Filmstrip(tuple(row + 1 for row in chosen), data.getvalue())


def portrait(person: Person) -> bytes | None:
    """JPEG of the face on the frame where the most frequent class is the surest; None when there is no face."""
    rows = np.flatnonzero(person.valid)
    if not len(rows):
        return None
    label = int(np.bincount(person.labels[rows]).argmax())
    return person.faces.jpeg(int(rows[np.argmax(person.probs[rows, label])]))
