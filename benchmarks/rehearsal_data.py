"""Writes the folders of Aff-Wild2 as the organisers distribute them, and stores as this program writes them.

Everything that exists is left as it is, so that an interrupted run goes on.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from rehearsal_plan import Person, Plan

from abaw.core.artifacts import temporary_path, write_text
from abaw.protocol.classes import EXPRESSION_CLASSES, NUM_EXPRESSIONS, UNLABELLED
from abaw.protocol.editions import edition
from abaw.protocol.layout import frame_name
from abaw.stores.crop import ALIGNED_PIXELS
from abaw.stores.features import feature_batch, write_features
from abaw.stores.predictions import Predictions, write_predictions

NEW = "cropped_aligned_new_50_vids"
"""Every eleventh video is there, as files of its own. Crops of the others are further names of a few files."""
_EVERY = 11
_POOL = 400
_ROWS = 128
_BATCHES = ("batch1", "batch2", "new_vids")
_TASK = "annotations/EXPR_Recognition_Challenge"
_SPLITS = {"train": "Train_Set", "validation": "Validation_Set"}


def write_texts(root: Path, plan: Plan) -> None:
    """Label files, and `template.txt` below `root`."""
    for person in plan.of("train", "validation"):
        _write_labels(root / _TASK / _SPLITS[person.split] / f"{person.name}.txt", person)
    _write_template(root / "template.txt", plan.of("test"))


def write_crops(root: Path, plan: Plan, faces: Path) -> None:
    """The official folders of aligned crops. faces: a zip or folder of photos of faces."""
    pool = _write_pool(root / ".pool", faces)
    for number, person in enumerate(plan.people):
        _write_crops(root, number, person, pool)


def write_videos(root: Path, plan: Plan) -> None:
    """Videos of the right number of frames, 32 × 32, each frame a copy of one."""
    for number, (name, num_frames) in enumerate(plan.videos.items()):
        path = root / _BATCHES[number % 3] / f"{name}.{'avi' if number % 9 == 4 else 'mp4'}"
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_path(path, path.suffix)
        _write_video(temporary, num_frames)
        temporary.rename(path)


def _write_video(path: Path, num_frames: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 128, dtype=np.uint8), format="rgb24")
        data = b"".join(bytes(packet) for packet in [*stream.encode(frame), *stream.encode(None)])
        for index in range(num_frames):
            packet = av.Packet(data)
            packet.stream = stream
            packet.time_base = Fraction(1, 30)
            packet.pts = packet.dts = index
            packet.duration = 1
            packet.is_keyframe = True
            container.mux(packet)


def _write_labels(path: Path, person: Person) -> None:
    """Line ends and spaces as in files of different age."""
    kind = len(person.labels) % 7
    end = "\r\n" if kind == 1 else " \n" if kind == 2 else "\n"
    text = end.join([",".join(EXPRESSION_CLASSES), *map(str, person.labels.tolist())])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((text + ("" if kind == 3 else end)).encode())


def _write_template(path: Path, people: Iterable[Person]) -> None:
    rows = (f"{frame_name(person.name, frame)},0" for person in people for frame in range(1, len(person.labels) + 1))
    write_text(path, "\n".join([edition("abaw6").header, *rows]) + "\n")


def _write_pool(folder: Path, faces: Path) -> list[Path]:
    """Aligned crops as JPEG files: the centre of each photo."""
    written = sorted(folder.glob("*.jpg"))
    if len(written) == _POOL:
        return written
    folder.mkdir(parents=True, exist_ok=True)
    photos = list(_photos(faces))
    if not photos:
        raise SystemExit(f"{faces}: contains no JPEG or PNG photo")
    paths = [folder / f"{number:03d}.jpg" for number in range(_POOL)]
    for number, path in enumerate(paths):
        picture = cv2.imdecode(np.frombuffer(photos[number % len(photos)], np.uint8), cv2.IMREAD_COLOR)
        height, width = picture.shape[:2]
        side = round(min(height, width) * 0.7)
        centre = picture[(height - side) // 2 :, (width - side) // 2 :][:side, :side]
        crop = cv2.resize(centre, (ALIGNED_PIXELS, ALIGNED_PIXELS), interpolation=cv2.INTER_AREA)
        path.write_bytes(cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
    return paths


def _photos(faces: Path) -> Iterable[bytes]:
    """The first photos."""
    suffixes = (".jpg", ".jpeg", ".png")
    if faces.is_dir():
        files = [file for file in sorted(faces.rglob("*")) if file.suffix.lower() in suffixes]
        yield from (file.read_bytes() for file in files[:_POOL])
        return
    with zipfile.ZipFile(faces) as archive:
        names = [name for name in archive.namelist() if name.lower().endswith(suffixes)]
        yield from (archive.read(name) for name in names[:_POOL])


def is_new(number: int) -> bool:
    """Whether the crops of this person, by number in the plan, are files of their own."""
    return number % _EVERY == _EVERY // 2


def _write_crops(root: Path, number: int, person: Person, pool: list[Path]) -> None:
    new = is_new(number)
    folder = root / (NEW if new else "cropped_aligned") / person.name
    if folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.parent / f".{person.name}.partial"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    contents = [path.read_bytes() for path in pool] if new else []
    for frame in (np.flatnonzero(person.faces) + 1).tolist():
        name = os.path.join(temporary, f"{frame:05d}.jpg")
        picture = (number + frame // 30) % len(pool)  # a picture lasts a second
        if new:
            with open(name, "wb") as file:
                file.write(contents[picture])
        else:
            os.link(pool[picture], name)
    temporary.rename(folder)


def write_feature_stores(folder: Path, people: Iterable[Person], dim: int) -> None:
    """Stores as `abaw features` writes them: noise around a mean of the class."""
    pool = np.random.default_rng(dim).normal(0, 2, (8192, dim)).astype(np.float16)
    means = np.random.default_rng(dim + 1).normal(0, 0.3, (NUM_EXPRESSIONS + 1, dim)).astype(np.float16)
    for number, person in enumerate(people):
        path = folder / f"{person.name}.arrow"
        if path.exists():
            continue
        labels = frame_labels(person)
        rng = np.random.default_rng([dim, number])
        rows, frames = (
            rng.integers(0, len(pool), person.num_frames),
            np.arange(1, person.num_frames + 1, dtype=np.int32),
        )
        parts = [slice(start, start + _ROWS) for start in range(0, person.num_frames, _ROWS)]
        batches = (
            feature_batch(frames[part], person.faces[part], pool[rows[part]] + means[labels[part]]) for part in parts
        )
        write_features(path, dim, batches, {"backbone": f"{dim:016d}", "fps": 30.0, "trained_on": []})


def write_prediction_stores(folder: Path, people: Iterable[Person]) -> None:
    """Stores as `abaw predict` writes them, of a model that is right on every second frame."""
    for number, person in enumerate(people):
        path = folder / f"{person.name}.arrow"
        if path.exists():
            continue
        rng = np.random.default_rng([number, person.num_frames])
        logits = rng.normal(0, 1, (person.num_frames, NUM_EXPRESSIONS))
        labels = frame_labels(person)
        known = np.flatnonzero(labels > UNLABELLED)
        logits[known, labels[known]] += 1.3
        odds = np.exp(logits)
        probs = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
        frames, everywhere = np.arange(1, person.num_frames + 1, dtype=np.int32), np.ones(person.num_frames, dtype=bool)
        meta = {"checkpoints": ["0" * 16], "trained_on": [], "selected_on": [], "fps": 30.0}
        predictions = Predictions(person.name, EXPRESSION_CLASSES, frames, person.faces, everywhere, probs, meta)
        write_predictions(path, predictions)


def frame_labels(person: Person) -> NDArray[np.int8]:
    """(T,) a label per frame, -1 for those without a line."""
    labels = np.full(person.num_frames, UNLABELLED, dtype=np.int8)
    part = person.labels[: person.num_frames]
    labels[: len(part)] = part
    return labels
