"""Rendering: the same seed draws the same person, expressions differ, and the overview shows every class."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from abaw.demo.dataset import plan_videos
from abaw.demo.sheet import expression_sheet
from abaw.demo.shots import film_video, performance
from abaw.demo.size import DemoSize
from abaw.protocol.classes import EXPRESSION_CLASSES


def test_the_sheet_depends_only_on_the_seed() -> None:
    first = expression_sheet(0, num_people=1, tile=96)
    assert first.dtype == np.uint8
    assert first.shape[1] == 96 * len(EXPRESSION_CLASSES)
    assert np.array_equal(first, expression_sheet(0, num_people=1, tile=96))
    assert not np.array_equal(first, expression_sheet(1, num_people=1, tile=96))


def test_expressions_look_different() -> None:
    tile = 128
    row = expression_sheet(2, num_people=1, tile=tile)[-tile:].astype(float)
    faces = [row[:, tile * k : tile * (k + 1)] for k in range(len(EXPRESSION_CLASSES))]
    for first in range(len(faces)):
        for second in range(first):
            assert np.abs(faces[first] - faces[second]).max() > 60


def test_frames_without_a_person_have_no_landmarks() -> None:
    plan = next(plan for plan in plan_videos(DemoSize(), 0)[0] if not plan.has_face().all())
    counts = [len(shot.landmarks_xy) for shot in film_video(plan)]
    assert np.array_equal(np.array(counts) > 0, plan.has_face())


def test_an_expression_rises_and_varies() -> None:
    act = performance(plan_videos(DemoSize(), 0)[0][0], 0)
    borders = [0, *(np.flatnonzero(np.diff(act.labels)) + 1), len(act.labels)]
    for start, stop in pairwise(borders):
        if EXPRESSION_CLASSES[act.labels[start]] != "Neutral":
            strength = np.abs(act.actions[start:stop]).sum(1)
            assert strength.max() > 1.3 * strength.min()
