"""The results of one video for other programs: a CSV with one row per frame, and a JSON summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from abaw.core.text import csv_text
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.viewer.person_timeline import PersonTimeline, seconds_by_class, segments, segments_where

HEADER = ("frame", "time_s", "x1", "y1", "x2", "y2", *EXPRESSION_CLASSES, "label")


def frames_csv(person: PersonTimeline) -> str:
    """One row per frame; without a face, the fields from x1 on are empty."""
    rows: list[Sequence[object]] = [HEADER]
    empty = [""] * (len(HEADER) - 2)
    for row, label in enumerate(person.labels.tolist()):
        face = (
            [
                *(f"{value:.1f}" for value in person.box_xyxy[row].tolist()),
                *(f"{value:.4f}" for value in person.probs[row].tolist()),
                EXPRESSION_CLASSES[label],
            ]
            if label >= 0
            else empty
        )
        rows.append([row + 1, f"{person.times[row]:.6f}", *face])
    return csv_text(rows)


def person_summary(person: PersonTimeline) -> dict[str, Any]:
    """Shares of the time with a face, segments, frames without a face; with annotation also the agreement."""
    seconds = seconds_by_class(person)
    total = float(seconds.sum())
    summary: dict[str, Any] = {
        "name": person.name,
        "frames": len(person),
        "frames_with_face": int(person.valid.sum()),
        "frames_without_face": [list(pair) for pair in segments_where(~person.valid)],
        "seconds_with_face": round(total, 3),
        "share_of_time": {
            name: round(float(value) / total, 4) if total else 0.0
            for name, value in zip(EXPRESSION_CLASSES, seconds, strict=True)
        },
        "segments": [
            {
                "label": EXPRESSION_CLASSES[one.label],
                "first_frame": one.first,
                "last_frame": one.last,
                "start_s": round(one.start_s, 3),
                "end_s": round(one.end_s, 3),
                "mean_probability": round(one.probability, 4),
            }
            for one in segments(person)
        ],
    }
    if person.annotated is not None:
        scored, wrong = person.scored, person.wrong
        summary["annotated"] = {
            "frames": scored,
            "agreement": round(1 - float(np.count_nonzero(wrong)) / scored, 4) if scored else None,
            "disagreements": [list(pair) for pair in segments_where(wrong)],
        }
    return summary
