from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from abaw.core.artifacts import StorageError
from abaw.core.errors import DataError
from abaw.evaluation.action_units import unit_counts
from abaw.evaluation.calibration import calibration_of
from abaw.evaluation.compare import compare, compare_options, score_intervals
from abaw.evaluation.metrics import ScoredVideo, evaluate
from abaw.evaluation.multitask import TaskScores, TaskTally, moments_of, score_tasks
from abaw.evaluation.origin import Origin
from abaw.evaluation.report import SMOOTHING, THRESHOLDS, write_report
from abaw.evaluation.result import Option, Result
from abaw.protocol.classes import EXPRESSION_CLASSES

KNOWN = Origin(3, (), (), (), 1)


def option(smoothing: str = "box:5", seed: int = 0, num_videos: int = 3, faces: float = 0.8) -> Option:
    rng = np.random.default_rng(seed)
    videos = [
        ScoredVideo(
            f"video {k} <é>",
            np.random.default_rng(k).integers(-1, 8, 50).astype(np.int8),
            rng.integers(0, 8, 50).astype(np.int8),
            np.random.default_rng(k).random(50) < faces,
        )
        for k in range(num_videos)
    ]
    calibration = calibration_of(rng.dirichlet(np.ones(8), 50), videos[0].labels)
    return Option(smoothing, evaluate(videos), None if smoothing.startswith("viterbi") else calibration)


def result(
    name: str = "temporal",
    seed: int = 0,
    num_videos: int = 3,
    faces: float = 0.8,
    origin: Origin = KNOWN,
    tasks: TaskScores | None = None,
) -> Result:
    one = option("box:5", seed, num_videos, faces)
    return Result(
        name=name,
        source=f"work/{name}",
        options=(one,),
        intervals=score_intervals(one.evaluation, 100),
        origin=origin,
        tasks=tasks,
        facts={"checkpoints": ["0123456789abcdef"]},
        notes=("a note & more",),
        differences=("video 0: 2 lines",),
    )


FOLDS = {f"video {k} <é>": k for k in range(12)}


def swept(name: str = "temporal", seed: int = 0, num_videos: int = 6) -> Result:
    """The best of three settings, one of them with a class bias."""
    options = [option("none", seed, num_videos), option("viterbi:0.1", seed + 10, num_videos)]
    biased = option("none", seed + 20, num_videos)
    by_fold = np.stack([biased.evaluation.confusions] * 12)
    options.append(Option("none", biased.evaluation, biased.calibration, np.linspace(0, 0.7, 8), by_fold))
    choice = compare_options([(each.label, each) for each in options], FOLDS, 100)
    best = options[choice.best]
    return Result(
        name=name,
        source=f"work/{name}",
        options=tuple(options),
        intervals=score_intervals(best.evaluation, 100),
        origin=KNOWN,
        choice=choice,
        facts={"tool": "x"},
    )


class Page(HTMLParser):
    """Checks that tags are closed in order, and collects text and image sources."""

    VOID = frozenset({"meta", "img", "br", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.links: list[str] = []
        self.alternatives: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.alternatives += [value or "" for key, value in attrs if key == "alt"]
        self.links += [value or "" for key, value in attrs if key in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read_page(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    assert page.open == []
    return page


def rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_one_result(tmp_path: Path) -> None:
    found = result()
    page_path = write_report(tmp_path / "report", [found], "annotations/Validation_Set")
    folder = page_path.parent
    assert sorted(file.name for file in folder.iterdir()) == [
        "calibration.png",
        "confusion.csv",
        "confusion.png",
        "index.html",
        "metrics.json",
        "per_class.csv",
        "per_video.csv",
    ]
    metrics = json.loads((folder / "metrics.json").read_text())
    (entry,) = metrics["results"]
    scores = found.evaluation.all_frames
    assert metrics["annotations"] == "annotations/Validation_Set"
    assert entry["macro_f1"] == scores.macro_f1
    assert entry["macro_f1_with_face"] == found.evaluation.with_face.macro_f1
    assert entry["per_class"]["Fear"]["f1"] == scores.per_class[3].f1
    assert (entry["num_videos"], entry["num_frames"], entry["smoothing"]) == (3, scores.num_frames, "box:5")
    assert entry["macro_f1_interval"] == [found.intervals.macro_f1.low, found.intervals.macro_f1.high]
    assert entry["per_class"]["Fear"]["f1_interval"] == [
        found.intervals.per_class[3].low,
        found.intervals.per_class[3].high,
    ]
    assert entry["calibration"]["ece"] == found.option.calibration.ece
    assert entry["optimistic"] is False and entry["choice"] is None and entry["tasks"] is None
    assert metrics["comparison"] is None
    matrix = rows(folder / "confusion.csv")
    assert matrix[0] == ["annotated", *EXPRESSION_CLASSES]
    assert np.array_equal(np.array([row[1:] for row in matrix[1:]], dtype=int), scores.confusion)
    assert len(rows(folder / "per_class.csv")) == 1 + 2 * 8
    assert [row[0] for row in rows(folder / "per_video.csv")] == ["video", "video 0 <é>", "video 1 <é>", "video 2 <é>"]


def test_the_table_of_videos_leads_to_their_viewers(tmp_path: Path) -> None:
    (tmp_path / "my viewers").mkdir()
    (tmp_path / "my viewers" / "video 0 <é>.html").touch()
    text = write_report(tmp_path / "report", [result()], "annotations", viewers=tmp_path / "my viewers").read_text()
    assert text.count('<a href="') == 1
    assert '<a href="../my%20viewers/video%200%20%3C%C3%A9%3E.html">video 0 &lt;é&gt;</a>' in text


def test_the_page_is_self_contained_and_shows_what_was_scored(tmp_path: Path) -> None:
    found = result()
    page = read_page(write_report(tmp_path, [found], "annotations"))
    text = " ".join(page.text)
    for part in (
        f"{found.evaluation.all_frames.macro_f1:.3f}",
        "video 0 <é>",
        "a note & more",
        "0123456789abcdef",
        "box:5",
    ):
        assert part in text
    pictures = [link for link in page.links if link != "data:,"]
    assert len(pictures) == 2 and all(link.startswith("data:image/png;base64,") for link in pictures)
    confusion, calibration = page.alternatives
    assert "Fear" in confusion and "expected calibration error" in calibration
    low, high = found.intervals.macro_f1.low, found.intervals.macro_f1.high
    assert f"{low:.3f}–{high:.3f}" in text
    assert "optimistic" not in text.split("How to read it")[0]


def test_the_figure_is_an_image_and_repeats_byte_for_byte(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_report(tmp_path / name, [result()], "annotations")
    for file in ("confusion.png", "calibration.png"):
        first, second = ((tmp_path / name / file).read_bytes() for name in ("a", "b"))
        assert first == second
        image = cv2.imread(str(tmp_path / "a" / file))
        assert image is not None and min(image.shape[:2]) > 600 and image.std() > 10


def test_several_results_are_compared(tmp_path: Path) -> None:
    results = [result("static", 1), result("temporal", 2)]
    comparison = compare(results, FOLDS, 100)
    page = read_page(write_report(tmp_path, results, "annotations", comparison))
    assert "Comparison" in page.text and "difference from the first" in page.text
    assert any("is the best of 2" in text for text in page.text)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert [entry["name"] for entry in metrics["results"]] == ["static", "temporal"]
    first, second = metrics["comparison"]["rows"]["options"]
    assert first["against_first"] is None
    assert second["against_first"]["difference"] == pytest.approx(second["macro_f1"] - first["macro_f1"])
    assert metrics["comparison"]["best_of_all"]["honest_f1"] is not None
    assert (tmp_path / "static" / "confusion.png").exists() and (tmp_path / "temporal" / "per_video.csv").exists()


def test_results_without_a_video_in_common_are_not_compared(tmp_path: Path) -> None:
    one, other = result("static"), result("temporal")
    videos = tuple(replace(video, name=f"other {video.name}") for video in other.evaluation.videos)
    other = replace(other, options=(replace(other.option, evaluation=replace(other.evaluation, videos=videos)),))
    comparison = compare([one, other], FOLDS, 100)
    assert comparison.rows is None
    page = read_page(write_report(tmp_path, [one, other], "annotations", comparison))
    assert any("no video in common" in text for text in page.text)


def test_a_choice_is_marked_and_has_an_unbiased_estimate(tmp_path: Path) -> None:
    found = swept()
    page = read_page(write_report(tmp_path, [found], "annotations"))
    text = " ".join(page.text)
    assert found.choice is not None and found.choice.selection is not None
    assert f"is the best of 3, chosen on the videos that score it: its {found.choice.optimistic_score:.3f}" in text
    assert "macro F1, unbiased estimate" in text and f"{found.choice.selection.nested_f1:.3f}" in text
    assert page.text.count("optimistic") >= 3
    (entry,) = json.loads((tmp_path / "metrics.json").read_text())["results"]
    assert entry["optimistic"] is True
    assert (
        entry["macro_f1"]
        == entry["choice"]["optimistic_f1"]
        == max(each["macro_f1"] for each in entry["choice"]["options"])
    )
    assert entry["choice"]["honest_f1"] == found.choice.selection.nested_f1
    assert [each["name"] for each in entry["choice"]["options"]] == ["none", "viterbi:0.1", "none + class bias"]
    assert len(entry["choice"]["chosen_by_fold"]) == 6


def test_too_few_videos_for_an_unbiased_estimate(tmp_path: Path) -> None:
    found = swept(num_videos=1)
    text = " ".join(read_page(write_report(tmp_path, [found], "annotations")).text)
    assert "too few videos for nested selection" in text
    assert json.loads((tmp_path / "metrics.json").read_text())["results"][0]["choice"]["honest_f1"] is None


def test_viterbi_has_nothing_to_calibrate(tmp_path: Path) -> None:
    found = replace(result(), options=(option("viterbi:0.1"),))
    text = " ".join(read_page(write_report(tmp_path, [found], "annotations")).text)
    assert "nothing to calibrate" in text
    assert not (tmp_path / "calibration.png").exists()
    assert json.loads((tmp_path / "metrics.json").read_text())["results"][0]["calibration"] is None


@pytest.mark.parametrize(
    ("origin", "kind", "words"),
    [
        pytest.param(Origin(3, ("video 0",), (), (), 1), "alarm", "TRAINED ON SCORED VIDEOS", id="trained"),
        pytest.param(Origin(3, (), ("video 0",), (), 1), "alarm", "CHOSEN ON SCORED VIDEOS", id="chosen"),
        pytest.param(
            Origin(3, (), (), (), 1, smoothing_chosen_on=("video 0",)),
            "alarm",
            "SMOOTHING CHOSEN ON SCORED VIDEOS",
            id="smoothing",
        ),
        pytest.param(
            Origin(3, (), (), (), 1, smoothings_unknown=("box:3",)),
            "caution-box",
            "does not say on which videos",
            id="smoothing unknown",
        ),
        pytest.param(Origin(3, (), (), ("video 0",), 0), "caution-box", "do not say which videos", id="unknown"),
        pytest.param(Origin(3, (), (), (), 3), "good", "out-of-fold", id="out of fold"),
    ],
)
def test_what_the_models_were_trained_on_is_reported(tmp_path: Path, origin: Origin, kind: str, words: str) -> None:
    path = write_report(tmp_path, [result(origin=origin)], "annotations")
    assert any(words in text for text in read_page(path).text)
    assert f'<p class="box {kind}">' in path.read_text()
    (entry,) = json.loads((tmp_path / "metrics.json").read_text())["results"]
    assert entry["origin"]["out_of_fold"] is (kind == "good")
    assert entry["optimistic"] is (kind == "alarm")


def test_no_figure_is_called_unbiased_when_models_were_trained_on_scored_videos(tmp_path: Path) -> None:
    found = replace(swept(), origin=Origin(6, ("video 0",), (), (), 1))
    page = read_page(write_report(tmp_path, [found], "annotations"))
    text = " ".join(page.text).split("How to read it")[0]
    assert "macro F1, nested selection" in text and "Nested selection, each video" in text
    assert "unbiased" not in text.lower()


def test_other_tasks_have_a_table(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    target, units = rng.uniform(-1, 1, (90, 2)), rng.integers(0, 2, (90, 12))
    tally = TaskTally(moments_of(target, target / 2), unit_counts(units, rng.random((90, 12))), 90)
    confusions = result().evaluation.confusions
    tasks = score_tasks([tally] * 3, confusions, ["a", "b", "c"], 100)
    page = read_page(write_report(tmp_path, [result(tasks=tasks)], "annotations"))
    assert "valence, CCC" in page.text and "AU26, F1" in page.text
    (entry,) = json.loads((tmp_path / "metrics.json").read_text())["results"]
    assert tasks is not None and tasks.ccc is not None and tasks.total is not None
    assert entry["tasks"]["ccc"]["mean"]["value"] == tasks.ccc[2].value
    assert entry["tasks"]["sum"]["value"] == tasks.total.value
    assert set(entry["tasks"]["action_units_f1"]) >= {"AU1", "AU26"}


def test_the_worst_videos_come_first_and_the_rest_is_folded(tmp_path: Path) -> None:
    found = result(num_videos=14)
    text = write_report(tmp_path, [found], "annotations").read_text()
    assert "4 more" in text
    ordered = sorted(found.evaluation.videos, key=lambda video: video.macro_f1)
    places = [text.index(f"video {video.name.split()[1]} &lt;") for video in ordered]
    assert places == sorted(places)


def test_no_frame_with_a_face(tmp_path: Path) -> None:
    read_page(write_report(tmp_path, [result(faces=0.0)], "annotations"))
    (entry,) = json.loads((tmp_path / "metrics.json").read_text())["results"]
    assert entry["macro_f1_with_face"] is None
    assert entry["num_frames_with_face"] == 0
    assert len(rows(tmp_path / "per_class.csv")) == 1 + 8


def test_an_older_report_is_replaced_and_another_folder_refused(tmp_path: Path) -> None:
    write_report(tmp_path / "report", [result(seed=1)], "annotations")
    write_report(tmp_path / "report", [result(seed=2)], "annotations")
    (entry,) = json.loads((tmp_path / "report" / "metrics.json").read_text())["results"]
    assert entry["macro_f1"] == result(seed=2).evaluation.all_frames.macro_f1
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "index.html").write_text("mine")
    (tmp_path / "thesis" / "metrics.json").write_text('{"loss": 1}')
    with pytest.raises(DataError, match=r"its metrics.json is not that of a report; choose another --out"):
        write_report(tmp_path / "thesis", [result()], "annotations")
    (tmp_path / "thesis" / "metrics.json").unlink()
    with pytest.raises(DataError, match="holds no report"):
        write_report(tmp_path / "thesis", [result()], "annotations")
    assert (tmp_path / "thesis" / "index.html").read_text() == "mine"


def test_nothing_of_an_older_report_is_left(tmp_path: Path) -> None:
    """Its smoothing and thresholds would be submitted with the new predictions."""

    def files(folder: Path) -> list[str]:
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())

    def fresh(name: str, results: Sequence[Result]) -> list[str]:
        write_report(tmp_path / name, results, "annotations")
        return files(tmp_path / name)

    one, several = [result()], [replace(result(), name="p"), replace(result(), name="q")]
    expected_one, expected_several = fresh("one", one), fresh("several", several)
    assert "per_class.csv" in expected_one and "p/per_class.csv" in expected_several
    for results, expected in ((one, expected_one), (several, expected_several), (one, expected_one)):
        assert fresh("again", results) == expected
        place = tmp_path / "again" / ("" if results is one else "p")
        for name in (THRESHOLDS, SMOOTHING):
            (place / name).write_text("{}")
    (tmp_path / "again" / "notes.txt").write_text("mine")
    assert fresh("again", one) == sorted([*expected_one, "notes.txt"])


def test_two_results_of_one_name_and_a_file_for_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the same name"):
        write_report(tmp_path, [result(), result()], "annotations")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        write_report(tmp_path / "file", [result()], "annotations")
