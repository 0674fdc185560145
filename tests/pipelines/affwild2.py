"""A small Aff-Wild2 in the layouts of the editions."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from abaw.protocol.annotations import TRAIN_SET, VALIDATION_SET, write_annotation
from abaw.protocol.editions import edition
from abaw.protocol.labels import write_action_units, write_valence_arousal
from tests.video.clips import noise, write_clip

NUM_FRAMES = 20
LABELS = np.arange(NUM_FRAMES) % 9 - 1
TRAIN = ("two people_left", "two people_right", "film é")
VALIDATION = "valid"
TEST = "testing"
SUBJECTS = (*TRAIN, VALIDATION, TEST)
NO_IMAGE = 3
"""The frame of every video that has no crop."""

FACTS = {
    "videos_in_all": 4,
    "videos": {"test": 1},
    "test_frames": NUM_FRAMES,
    "annotated_frames": {"train": 51, "validation": 17},
    "annotated_frames_with_aligned_image": {"train": 48, "validation": 16},
}
"""What would be published of it."""


def make_crops(folder: Path, frames: int = NUM_FRAMES) -> None:
    folder.mkdir(parents=True)
    for frame in range(1, frames + 1):
        if frame != NO_IMAGE:
            (folder / f"{frame:05d}.jpg").touch()


def make_tree(root: Path, task_folder: str = "EXPR_Recognition_Challenge", above: str = "annotations") -> Path:
    """Three people of the training set, one of validation, one of the test set, twenty frames each; returns `root`."""
    clip = None
    for place in ("batch1/two people.mp4", "batch2/film é.mp4", "new_vids/valid.mp4", "new_vids/testing.mp4"):
        file = root / place
        file.parent.mkdir(parents=True, exist_ok=True)
        if clip is None:
            clip = write_clip(file, noise(NUM_FRAMES, 32)).read_bytes()
        file.write_bytes(clip)
    labels = root / above / task_folder
    for name in TRAIN:
        write_annotation(labels / TRAIN_SET / f"{name}.txt", LABELS)
    write_annotation(labels / VALIDATION_SET / f"{VALIDATION}.txt", LABELS)
    ends = (labels / TRAIN_SET / f"{TRAIN[0]}.txt").read_text().rstrip().replace("\n", "\r\n")
    (labels / TRAIN_SET / f"{TRAIN[0]}.txt").write_bytes(ends.encode())
    write_valence_arousal(
        root / above / "VA_Estimation_Challenge" / VALIDATION_SET / f"{TRAIN[2]}.txt", np.zeros((NUM_FRAMES, 2))
    )
    write_action_units(
        root / above / "AU_Detection_Challenge" / TRAIN_SET / f"{TRAIN[2]}.txt", np.zeros((NUM_FRAMES, 12), int)
    )
    for name in SUBJECTS:
        make_crops(root / ("cropped_aligned_new_50_vids" if name == TEST else "cropped_aligned") / name)
        make_crops(root / "cropped" / "batch1" / name)
    return root


def write_template(path: Path, num_frames: int = NUM_FRAMES, name: str = TEST) -> Path:
    rows = [f"{name}/{frame:05d}.jpg,0" for frame in range(1, num_frames + 1)]
    path.write_text("\n".join([edition("abaw6").header, *rows]) + "\n")
    return path
