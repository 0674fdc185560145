"""The CSV and JSON files of a video."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.viewer.tables import HEADER, frames_csv, person_summary
from tests.viewer.people import SURE, person


def test_every_frame_has_a_row_with_empty_fields_without_a_face(tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(frames_csv(person(tmp_path, [4, None, 5])))))
    assert tuple(rows[0]) == HEADER
    assert [row["frame"] for row in rows] == ["1", "2", "3"]
    assert [row["label"] for row in rows] == ["Happiness", "", "Sadness"]
    assert [row["time_s"] for row in rows] == ["0.000000", "0.040000", "0.080000"]
    assert (rows[0]["x1"], rows[0]["y2"]) == ("20.0", "50.0")
    assert float(rows[2]["Sadness"]) == pytest.approx(SURE, abs=1e-4)
    assert sum(float(rows[0][name]) for name in EXPRESSION_CLASSES) == pytest.approx(1, abs=1e-3)
    assert set(list(rows[1].values())[2:]) == {""}


def test_the_summary_is_consistent(tmp_path: Path) -> None:
    summary = person_summary(person(tmp_path, [4, 4, None, 5], annotated=[4, 5, 4, 5]))
    assert json.loads(json.dumps(summary)) == summary
    assert (summary["frames"], summary["frames_with_face"]) == (4, 3)
    assert summary["frames_without_face"] == [[3, 3]]
    assert sum(summary["share_of_time"].values()) == pytest.approx(1, abs=1e-3)
    assert summary["seconds_with_face"] == pytest.approx(0.12)
    assert [(one["label"], one["first_frame"], one["last_frame"]) for one in summary["segments"]] == [
        ("Happiness", 1, 2),
        ("Sadness", 4, 4),
    ]
    assert summary["annotated"] == {"frames": 3, "agreement": 0.6667, "disagreements": [[2, 2]]}


def test_a_person_without_any_face(tmp_path: Path) -> None:
    summary = person_summary(person(tmp_path, [None, None], annotated=[0, 0]))
    assert set(summary["share_of_time"].values()) == {0.0}
    assert summary["segments"] == [] and summary["annotated"]["agreement"] is None
    assert "annotated" not in person_summary(person(tmp_path, [None], name="other"))
