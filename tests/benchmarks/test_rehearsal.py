"""The rehearsal at full size: the plan has the published numbers; a small one runs through the real commands."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from abaw.protocol.manifests import load_manifest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))  # scripts, not a package

import rehearsal
from rehearsal_data import frame_labels
from rehearsal_measure import Cost, disk_gb, run_command
from rehearsal_plan import NUM_FRAMES, make_plan, shares
from rehearsal_report import write_report


def test_the_plan_has_the_published_numbers() -> None:
    facts = load_manifest("expression")
    plan = make_plan(1.0)
    assert len(plan.videos) == facts["videos_in_all"] and len(plan.of("test")) == facts["videos"]["test"]
    assert sum(len(person.labels) for person in plan.of("test")) == facts["test_frames"]
    assert abs(sum(person.num_frames for person in plan.people) - NUM_FRAMES) < 500
    for split in ("train", "validation"):
        people = plan.of(split)
        assert sum(int((person.labels >= 0).sum()) for person in people) == facts["annotated_frames"][split]
        with_crop = sum(int((person.faces & (frame_labels(person) >= 0)).sum()) for person in people)
        assert with_crop == facts["annotated_frames_with_aligned_image"][split]
        counts = np.bincount(np.concatenate([person.labels[person.labels >= 0] for person in people]))
        published = np.array(list(facts["class_counts"][split].values()))
        np.testing.assert_allclose(counts / counts.sum(), published / published.sum(), atol=1e-5)
    off = [person.num_frames - len(person.labels) for person in plan.people]
    assert 20 < np.count_nonzero(off) < 100 and max(map(abs, off)) <= 4
    assert {name.rpartition("_")[2] for name in (p.name for p in plan.people) if "_" in name} == {"left", "right"}


def test_a_small_plan_has_videos_of_every_split() -> None:
    plan = make_plan(0.001)
    assert all(plan.of(split) for split in ("train", "validation", "test"))
    assert sum(person.num_frames for person in plan.people) == pytest.approx(2700, abs=30)
    assert plan.people[3].labels.tolist() == make_plan(0.001).people[3].labels.tolist()


def test_shares_have_the_sum() -> None:
    assert shares(10, [1.0, 1.0, 1.0]).sum() == 10 and shares(0, [1.0, 2.0]).tolist() == [0, 0]


def test_cost_and_disk(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(1 << 20))
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    assert 2**20 <= disk_gb(tmp_path) * 2**30 < 2**20 + 2**16, "a file of two names counts once"
    cost = run_command(["--version"], tmp_path / "a", tmp_path / "log")
    assert cost.processor_seconds > 0 and 0 < cost.memory <= cost.with_files < 4
    with pytest.raises(SystemExit, match="status 2"):
        run_command(["submit", "--no_such_flag"], tmp_path, tmp_path / "log")


def _result(stage: str, cost: Cost, **facts: object) -> dict[str, object]:
    return {
        "stage": stage, "note": "", "share": 1.0, "cells": 0, "workers": 1, "steps": 0, "step_seconds": 0.0,
        "evaluation_seconds": 0.0, **vars(cost), **facts,
    }  # fmt: skip


def test_the_report_extrapolates_and_compares_with_limits(tmp_path: Path) -> None:
    results = [
        _result("features, 512 wide", Cost(36.0, 60.0, 1.0, 1.5, 0.01), share=0.01),
        _result("ablate, 1 cell", Cost(20.0, 20.0, 1.0, 4.0, 0.1), cells=1, steps=10, step_seconds=5.0,
                evaluation_seconds=10.0),
        _result("ablate, 10 cells", Cost(100.0, 190.0, 1.6, 5.0, 1.0), cells=10, workers=2, steps=10,
                step_seconds=50.0, evaluation_seconds=100.0),
        _result("validate", Cost(70.0, 70.0, 0.3, 0.3, 0.01)),
    ]  # fmt: skip
    write_report(tmp_path, results, {"crops": 12.0})
    report = json.loads((tmp_path / "rehearsal.json").read_text())
    features, one, ten, validate = (row["full"] for row in report["stages"])
    assert features == {
        "hours": 1.0, "processor_hours": pytest.approx(5 / 3), "idle_hours": 1.0, "disk_gb": 1.0, "extrapolated": True,
    }  # fmt: skip
    # 2,000 steps for 10, and 4 scorings for 1; what is neither stays. Ten cells run two at a time.
    assert one["hours"] * 3600 == pytest.approx(20 + 5 * 199 + 10 * 3)
    assert ten["hours"] * 3600 == pytest.approx(100 + (50 * 199 + 100 * 3) / 2)
    assert not validate["extrapolated"]
    kept = {limit["what"].partition(" (")[0]: limit["kept"] for limit in report["limits"]}
    assert not kept["validate"] and kept["memory of the largest step, ablate, 10 cells"]
    # 1.6 GB over 1 GB of the processes' own; 5 over 4 with mapped files.
    assert not kept["memory of ablate, 10 cells over 1 cell, one worker each"]
    assert kept["memory of ablate, 10 cells over 1 cell, one worker each, with mapped files"]
    text = (tmp_path / "rehearsal.md").read_text()
    assert "| ≈ 1.00 | ≈ 1.67 | ≈ 1.00 | 1.00% of the frames |" in text and "| missed |" in text


@pytest.mark.slow
def test_a_small_rehearsal_goes_through_every_command_and_on_after_a_stop(
    tmp_path: Path, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--faces", str(shared_data / "lfw_unlabelled.zip"), "--work", str(tmp_path), "--scale", "0.001"]
    words += ["--steps", "2", "--frames", "10"]
    rehearsal.main([*words, "--prepare", "--stages", "submit"])
    assert (tmp_path / "predictions").exists() and not (tmp_path / "submission.txt").exists()
    rehearsal.main([*words, "--stages", "check-data", "import-crops"])
    first = {file.name: file.read_bytes() for file in (tmp_path / "results").iterdir()}
    assert sorted(first) == ["check-data.json", "import-crops.json"]
    (tmp_path / "faces" / "half-written").touch()  # as a kill leaves it
    rehearsal.main(words)
    assert {name: (tmp_path / "results" / name).read_bytes() for name in first} == first, "finished stages are kept"
    report = json.loads((tmp_path / "rehearsal.json").read_text())
    assert [stage["stage"] for stage in report["stages"]] == [
        "check-data", "import-crops", "features, 512 wide", "features, 768 wide", "train-temporal", "ablate, 1 cell",
        "ablate, 10 cells", "cross-validate", "predict", "validate", "submit", "check-submission",
    ]  # fmt: skip
    assert all(stage["seconds"] > 0 and stage["memory"] > 0 for stage in report["stages"])
    assert len((tmp_path / "submission.txt").read_text().splitlines()) == 1 + len(
        (tmp_path / "Aff-Wild2" / "template.txt").read_text().splitlines()[1:]
    )
    assert "| check-submission |" in capsys.readouterr().out
