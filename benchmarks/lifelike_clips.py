"""Lifelike flip-book clips: held faces, morphs, head sway, lighting and talking, drawn from stills.

The old flip-book (flipbook_clips.py) has hard cuts between stills and no calm faces. This one assumes, at 30 frames per
second (see `Life`; the numbers are our reading of the shared clips, not measurements of Aff-Wild2):

- A segment shows one person's face that is *held*, or several stills in turn, as the old one does. Segments are as
  short as half a second.
- The head *sways*: position, size and roll return slowly to the middle (an Ornstein-Uhlenbeck process), and so do
  brightness and the light from one side.
- Where the next still is of the same *series* (a photo session of one person: two stills of different classes that
  look much alike, but are not one photo), the face *morphs* into it along the optical flow; otherwise stills change by
  a cut, as videos do at shot cuts, or by a short dissolve.
- In *talking* segments the mouth region is exchanged with that of other stills of the same class, several times per
  second: the mouth moves, the expression stays.
- Missing faces and late labels are those of the old one.

What stays unlike video: faces are grey and small, only mouths move by themselves, and most segments change the person.
Shapes: T time, C class.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from flipbook_clips import FPS, Book, Maker, Timeline, draw_timeline
from flipbook_stills import Still, thumbnails
from numpy.typing import NDArray

from abaw.protocol.classes import NUM_EXPRESSIONS
from abaw.stores.crop import ALIGNED_PIXELS
from abaw.video.extract import encode_crop

_JPEG_QUALITY = 92

Image = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Life:
    """How lifelike clips are made. Times in seconds.

    book: classes, dwell, missing faces and late labels; brief: share of segments that are cut to between `brief_s[0]`
    and `brief_s[1]` seconds; held: share of segments with a single still; hold_s: how long each of several is shown;
    morph_s: how long a morph or dissolve takes; dissolved: share of changes between people that dissolve, not cut.
    sway: deviation of position (share of the face's width, right and down), of size, of roll (degrees); light:
    deviation of brightness and of the light from one side (share); calm_s: time in which these return to the middle.
    talking: share of segments with a moving mouth; syllable_s: how long one mouth is shown. alike: range of the
    correlation of thumbnails for two stills of a series: above it, they are one photo.
    """

    book: Book = field(default_factory=Book)
    brief: float = 0.25
    brief_s: tuple[float, float] = (0.5, 1.5)
    held: float = 0.5
    hold_s: tuple[float, float] = (0.4, 2.0)
    morph_s: tuple[float, float] = (0.15, 0.5)
    dissolved: float = 0.5
    sway: tuple[float, float, float, float] = (0.03, 0.03, 0.03, 4.0)
    light: tuple[float, float] = (0.08, 0.1)
    calm_s: float = 0.8
    talking: float = 0.3
    syllable_s: tuple[float, float] = (0.1, 0.25)
    alike: tuple[float, float] = (0.85, 0.94)


def draw_life(shares: Sequence[float], life: Life, rng: np.random.Generator) -> Timeline:
    """A timeline of the old flip-book in which some segments are brief; the segment after one begins earlier."""
    timeline = draw_timeline(shares, life.book, rng)
    borders = np.concatenate([[0], np.flatnonzero(np.diff(timeline.shown)) + 1, [len(timeline.shown)]])
    keep = np.ones(len(timeline.shown), dtype=bool)
    for start, end in zip(borders[:-1], borders[1:], strict=True):
        brief = round(rng.uniform(*life.brief_s) * FPS)
        if rng.random() < life.brief and end - start > brief:
            # Frames from the middle are left out: the late labels at both borders stay as they are.
            first = start + brief // 2
            keep[first : first + int(end - start) - brief] = False
    return Timeline(timeline.shown[keep], timeline.labels[keep], timeline.face[keep])


class Series:
    """Stills, and for each the stills of other classes that are of the same photo series."""

    def __init__(self, stills: Sequence[Still], life: Life) -> None:
        self.by_class = [[still for still in stills if still.label == label] for label in range(NUM_EXPRESSIONS)]
        self._partners: dict[tuple[str, int], list[Still]] = {}
        small = [thumbnails([still.pixels for still in part]) if part else np.zeros((0, 1)) for part in self.by_class]
        for own, part in enumerate(self.by_class):
            for other, others in enumerate(self.by_class):
                if own == other or not part or not others:
                    continue
                like = small[own] @ small[other].T
                for row, column in np.argwhere((like > life.alike[0]) & (like < life.alike[1])).tolist():
                    self._partners.setdefault((part[row].name, other), []).append(others[column])

    def next(self, still: Still | None, label: int, rng: np.random.Generator) -> tuple[Still, bool]:
        """A still of the class, and whether it is of the series of the given one."""
        partners = self._partners.get((still.name, label), []) if still is not None else []
        found = partners or self.by_class[label]
        return found[int(rng.integers(len(found)))], bool(partners)


def life_maker(stills: Sequence[Still], life: Life) -> Maker:
    """Clips of `draw_life` and `life_crops`."""
    series = Series(stills, life)

    def make(shares: Sequence[float], rng: np.random.Generator) -> tuple[Timeline, Iterator[bytes | None]]:
        timeline = draw_life(shares, life, rng)
        return timeline, life_crops(timeline, series, life, rng)

    return make


def life_crops(timeline: Timeline, series: Series, life: Life, rng: np.random.Generator) -> Iterator[bytes | None]:
    """JPEG bytes of every frame, None where there is no face."""
    motion = Motion(life, rng)
    faces = _faces(timeline.shown, series, life, rng)
    for image, face in zip(faces, timeline.face.tolist(), strict=True):
        motion.step()
        yield encode_crop(motion.draw(image), _JPEG_QUALITY) if face else None


def _faces(shown: NDArray[np.int8], series: Series, life: Life, rng: np.random.Generator) -> Iterator[Image]:
    """The face of every frame, (48, 48), before it moves."""
    borders = np.concatenate([[0], np.flatnonzero(np.diff(shown)) + 1, [len(shown)]])
    still: Still | None = None
    image: Image | None = None
    for start, end in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True):
        label = int(shown[start])
        held, talking = rng.random() < life.held, rng.random() < life.talking
        frame = start
        while frame < end:
            # Within a segment of several stills the next one is any of its class.
            chosen, related = series.next(still if frame == start else None, label, rng)
            still = chosen
            length = end - frame if held else min(end - frame, _frames(life.hold_s, rng))
            own = list(_talk(still, series.by_class[label], length, life, rng)) if talking else [_float(still)] * length
            change = related or rng.random() < life.dissolved
            if image is not None and change:
                own = _blended(image, own, min(length, _frames(life.morph_s, rng)), related)
            image = own[-1]
            yield from own
            frame += length


def _frames(seconds: tuple[float, float], rng: np.random.Generator) -> int:
    return max(1, round(rng.uniform(*seconds) * FPS))


def _float(still: Still) -> Image:
    return still.pixels.astype(np.float32)


def _talk(still: Still, others: Sequence[Still], length: int, life: Life, rng: np.random.Generator) -> Iterator[Image]:
    """The face with a mouth that changes: its own, or that of another still of the class, at the same brightness."""
    face, mask = _float(still), _mouth_mask(still.pixels.shape[0])
    left, image = 0, face
    for _ in range(length):
        if left == 0:
            left = _frames(life.syllable_s, rng)
            mouth = _float(others[int(rng.integers(len(others)))]) if rng.random() < 0.7 else face
            shift = (mask * (face - mouth)).sum() / mask.sum()
            image = face + mask * (mouth + shift - face)
        left -= 1
        yield image


def _mouth_mask(side: int) -> Image:
    """1 in the middle of the mouth, 0 outside, with a soft border, (side, side)."""
    rows, columns = np.mgrid[:side, :side] / side
    distance = ((columns - 0.5) / 0.26) ** 2 + ((rows - 0.8) / 0.17) ** 2
    return np.clip(1.6 - 1.2 * distance, 0, 1).astype(np.float32)


def _blended(before: Image, after: Sequence[Image], length: int, morph: bool) -> list[Image]:
    """`after` with its first `length` frames blended from the image before; along the optical flow for a morph."""
    there, back = (_flow(before, after[0]), _flow(after[0], before)) if morph else (None, None)
    blended = []
    for place, image in enumerate(after[:length]):
        share = (place + 1) / (length + 1)
        first = before if there is None else _moved(before, there, share)
        second = image if back is None else _moved(image, back, 1 - share)
        blended.append((1 - share) * first + share * second)
    return [*blended, *after[length:]]


def _flow(one: Image, two: Image) -> Image:
    pair = [np.clip(image, 0, 255).astype(np.uint8) for image in (one, two)]
    return np.asarray(
        cv2.calcOpticalFlowFarneback(pair[0], pair[1], np.zeros((*one.shape, 2), np.float32), 0.5, 3, 11, 3, 5, 1.1, 0),
        np.float32,
    )


def _moved(image: Image, flow: Image, share: float) -> Image:
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    return np.asarray(
        cv2.remap(
            image,
            columns - share * flow[..., 0],
            rows - share * flow[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.float32,
    )


class Motion:
    """Head and light at one frame: they drift, and return to the middle in about `calm_s` seconds."""

    def __init__(self, life: Life, rng: np.random.Generator) -> None:
        self._rng = rng
        self._spread = np.array([*life.sway, *life.light])
        self._keep = float(np.exp(-1 / (life.calm_s * FPS)))
        self._state = self._spread * rng.standard_normal(6)
        self._mirror = bool(rng.random() < 0.5)

    def step(self) -> None:
        noise = np.sqrt(1 - self._keep**2) * self._rng.standard_normal(6)
        self._state = self._keep * self._state + self._spread * noise

    def draw(self, face: Image) -> NDArray[np.uint8]:
        """The crop (112, 112, 3)."""
        right, down, zoom, roll, bright, side = self._state
        image = face[:, ::-1] if self._mirror else face
        size, middle = image.shape[0], (ALIGNED_PIXELS - 1) / 2
        centre = (size - 1) / 2
        matrix = cv2.getRotationMatrix2D((centre, centre), float(roll), float(ALIGNED_PIXELS / size * (1 + zoom)))
        matrix[:, 2] += (middle - centre + right * ALIGNED_PIXELS, middle - centre + down * ALIGNED_PIXELS)
        crop = cv2.warpAffine(image, matrix, (ALIGNED_PIXELS, ALIGNED_PIXELS), borderMode=cv2.BORDER_REPLICATE)
        lit = crop * (1 + bright + side * np.linspace(-1, 1, ALIGNED_PIXELS)[None])
        return np.repeat(np.clip(lit, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)
