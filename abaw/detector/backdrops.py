"""Backgrounds of training scenes: grey pictures without a face, from files or drawn, and face-like distractors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.importing.still import images_below
from abaw.video.detecting.detector import Detector
from abaw.video.reading.still import read_picture

_SMALLEST = 64
_LETTERS = "ABCDEFGHKLMNPRSTUVXYZabcdefghkmnoprstuvxyz0123456789 %&?!:.-+"
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX)


def backdrop(side: int, pictures: Sequence[NDArray[np.uint8]], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A square of `side` pixels: part of one of the pictures (H, W) without faces, or a drawing."""
    if pictures and rng.random() < 0.6:
        ground = _part(pictures[int(rng.integers(len(pictures)))], side, rng)
        if rng.random() < 0.25:
            ground = _half_and_half(ground, drawn(side, rng), rng)
        return ground
    return drawn(side, rng)


def drawn(side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A gradient of light, and with some probability clouds of several scales, stripes, shapes and text."""
    ground = _light(side, rng)
    if rng.random() < 0.7:
        ground += _clouds(side, rng)
    if rng.random() < 0.25:
        ground += _stripes(side, rng)
    picture = np.clip(ground, 0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        for _ in range(rng.integers(1, 14)):
            _draw_shape(picture, rng)
    if rng.random() < 0.3:
        _write(picture, rng)
    return picture


def _part(picture: NDArray[np.uint8], side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A square part of random size, randomly mirrored or rotated by right angles."""
    shorter = min(picture.shape)
    length = int(shorter * rng.uniform(0.25, 1.0))
    top, left = (int(rng.integers(0, whole - length + 1)) for whole in picture.shape)
    part = picture[top : top + length, left : left + length]
    part = np.rot90(part, int(rng.choice(4, p=[0.7, 0.1, 0.1, 0.1])))
    if rng.random() < 0.5:
        part = part[:, ::-1]
    interpolation = cv2.INTER_AREA if length > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(part), (side, side), interpolation=interpolation), np.uint8)


def _half_and_half(first: NDArray[np.uint8], second: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Side by side or one above the other, with a hard edge."""
    side = len(first)
    edge = int(side * rng.uniform(0.2, 0.8))
    joined = first.copy()
    if rng.random() < 0.5:
        joined[:, edge:] = second[:, edge:]
    else:
        joined[edge:] = second[edge:]
    return joined


def _light(side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    corners = rng.uniform(0, 255) + rng.uniform(0, 90) * rng.standard_normal((2, 2))
    return np.asarray(cv2.resize(corners.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR), np.float32)


def _clouds(side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    total = np.zeros((side, side), np.float32)
    for tiles in rng.choice([3, 5, 9, 17, 33, 65], size=rng.integers(1, 4), replace=False):
        coarse = rng.standard_normal((tiles, tiles), np.float32) * np.float32(rng.uniform(4, 45))
        total += cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    return total


def _stripes(side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    angle, length = rng.uniform(0, np.pi), rng.uniform(4, 60)
    phase = (rows * np.sin(angle) + columns * np.cos(angle)) * (2 * np.pi / length)
    wave = np.sin(phase)
    if rng.random() < 0.5:
        wave = np.sign(wave)
    return np.asarray(wave * rng.uniform(5, 60), np.float32)


def _draw_shape(picture: NDArray[np.uint8], rng: np.random.Generator) -> None:
    side = len(picture)
    x, y = (int(value) for value in rng.integers(0, side, 2))
    size = float(side * 0.02 * 25 ** rng.random())
    grey, filled = int(rng.integers(0, 256)), -1 if rng.random() < 0.7 else int(rng.integers(1, 5))
    kind = rng.integers(4)
    if kind == 0:
        axes = (max(1, int(size)), max(1, int(size * rng.uniform(0.3, 1))))
        cv2.ellipse(picture, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, grey, filled, cv2.LINE_AA)
    elif kind == 1:
        corners = cv2.boxPoints(((x, y), (size * 2, size * float(rng.uniform(0.1, 2))), float(rng.uniform(0, 90))))
        cv2.polylines(picture, [corners.astype(np.int32)], True, grey, 2, cv2.LINE_AA)
        if filled < 0:
            cv2.fillPoly(picture, [corners.astype(np.int32)], grey, cv2.LINE_AA)
    elif kind == 2:
        points = (np.array([x, y]) + size * rng.standard_normal((int(rng.integers(3, 8)), 2))).astype(np.int32)
        cv2.fillPoly(picture, [points], grey, cv2.LINE_AA)
    else:
        end = (np.array([x, y]) + 3 * size * rng.standard_normal(2)).astype(int).tolist()
        cv2.line(picture, (x, y), (end[0], end[1]), grey, int(rng.integers(1, 8)), cv2.LINE_AA)


def _write(picture: NDArray[np.uint8], rng: np.random.Generator) -> None:
    side = len(picture)
    size, grey = float(rng.uniform(0.4, 2.0)), int(rng.integers(0, 256))
    font, thickness = _FONTS[rng.integers(len(_FONTS))], 1 + int(size * rng.uniform(1, 6))
    x, y = int(rng.integers(-20, side // 2)), int(rng.integers(10, side))
    for line in range(int(rng.integers(1, 6))):
        text = "".join(rng.choice(list(_LETTERS), size=rng.integers(3, 24)))
        cv2.putText(
            picture,
            text,
            (x, y + int(line * 32 * size)),
            font,
            size,
            grey,
            thickness,
            cv2.LINE_AA,
        )


def lure(side: int, face: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A hard negative: a square that is no face but has parts or grey levels of one.

    face: (H, W) a picture filled by a face. Its pieces are shuffled, or it is blurred to a blob, a strip of it is
    stretched, or dots are drawn on the blob where no eyes would be.
    """
    small = np.asarray(cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    kind = rng.random()
    if kind < 0.5:
        return _scrambled(small, int(rng.integers(3, 6)), rng)
    if kind < 0.7:
        return np.asarray(cv2.GaussianBlur(small, (0, 0), max(1.0, side * rng.uniform(0.12, 0.3))), np.uint8)
    if kind < 0.85:
        strip = int(side * rng.uniform(0.12, 0.2))
        top = int(rng.integers(0, side - strip))
        return np.asarray(cv2.resize(small[top : top + strip], (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)
    blob = np.asarray(cv2.GaussianBlur(small, (0, 0), max(1.0, side * 0.25)), np.uint8)
    for _ in range(rng.integers(1, 3)):
        x, y = (int(value) for value in rng.integers(0, side, 2))
        cv2.circle(blob, (x, y), max(1, int(side * rng.uniform(0.03, 0.1))), int(rng.integers(0, 256)), -1, cv2.LINE_AA)
    return blob


def _scrambled(picture: NDArray[np.uint8], pieces: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A square cut into pieces × pieces parts and put together again with every part moved."""
    edges = np.linspace(0, len(picture), pieces + 1).astype(int)
    size = int(edges[1])
    shift = int(rng.integers(1, pieces * pieces))
    scrambled = picture.copy()
    for index in range(pieces * pieces):
        to_row, to_column = divmod(index, pieces)
        row, column = divmod((index + shift) % (pieces * pieces), pieces)
        part = picture[edges[row] : edges[row] + size, edges[column] : edges[column] + size]
        target: Any = scrambled[edges[to_row] : edges[to_row] + size, edges[to_column] : edges[to_column] + size]
        target[...] = part[: target.shape[0], : target.shape[1]]
    return scrambled


def read_backgrounds(paths: Sequence[Path], teacher: Detector) -> tuple[list[NDArray[np.uint8]], list[Path]]:
    """The pictures in which the teacher finds no face, grey (H, W), and the files left out because it finds one.

    paths: pictures, or folders of them. Pictures smaller than 64 pixels are skipped. Raises DataError for a path that
    does not exist or cannot be read as a picture.
    """
    kept, left_out = [], []
    for file in [found for path in paths for found in _pictures_of(path)]:
        picture = read_picture(file, cv2.IMREAD_COLOR_RGB)
        if picture is None:
            raise DataError(f"{file}: cannot be read as a picture; remove it or leave it out of the backgrounds")
        if min(picture.shape[:2]) < _SMALLEST:
            continue
        if len(teacher.detect(np.asarray(picture, np.uint8))):
            left_out.append(file)
        else:
            kept.append(np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8))
    return kept, left_out


def _pictures_of(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(images_below(path))
    if not path.is_file():
        raise DataError(f"{path}: no such picture or folder of pictures")
    return [path]
