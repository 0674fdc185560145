"""The CSV and JSON files of a video."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.viewer.tables import HEADER, frames_csv, person_summary
from pipelines.predict_video.results import INDEX, write_index
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


def test_joined_recordings_have_shares_of_the_whole_and_a_place_in_the_index(tmp_path: Path) -> None:
    """Each recording is a second long, and the time stamps of both begin at 0."""
    stamps_s = [frame / 25 for frame in range(25)] * 2
    joined = person(tmp_path, [0] * 24 + [6] + [0] * 25, name="joined", times_s=stamps_s, annotated=[6] * 50)
    found = person_summary(joined)
    assert found["seconds_with_face"] == 2.0
    assert (found["share_of_time"]["Neutral"], found["share_of_time"]["Surprise"]) == (0.98, 0.02)
    assert sum(found["share_of_time"].values()) == pytest.approx(1)
    assert [(one["label"], one["start_s"], one["end_s"]) for one in found["segments"]] == [
        ("Neutral", 0.0, 0.96),
        ("Surprise", 0.96, 1.0),
        ("Neutral", 1.0, 2.0),
    ]
    times = [float(row["time_s"]) for row in csv.DictReader(io.StringIO(frames_csv(joined)))]
    assert times == [pytest.approx(frame / 25) for frame in range(50)]
    for one in (joined, person(tmp_path, [4] * 5, name="other")):
        summary = {"kind": "predict-video", "video": one.name, "frames": len(one), "people": [person_summary(one)]}
        text = json.dumps({**summary, "files": [], "fingerprint": "x"})
        (tmp_path / f"{one.name}.json").write_text(text, encoding="utf-8")
    assert write_index(tmp_path) == tmp_path / INDEX
    text = (tmp_path / INDEX).read_text(encoding="utf-8")
    assert all(f">{name}</a>" in text for name in ("joined", "other"))
    assert "0:02" in text and "Neutral 98 %, Surprise 2 %" in text
