from __future__ import annotations

import csv
import json
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from abaw.core.artifacts import StorageError
from abaw.core.errors import DataError
from abaw.evaluation.metrics import ScoredVideo, evaluate
from abaw.evaluation.report import write_report
from abaw.evaluation.result import Result
from abaw.protocol.classes import EXPRESSION_CLASSES


def result(name: str = "temporal", seed: int = 0, num_videos: int = 3, faces: float = 0.8) -> Result:
    rng = np.random.default_rng(seed)
    videos = [
        ScoredVideo(
            f"video {k} <é>",
            rng.integers(-1, 8, 50).astype(np.int8),
            rng.integers(0, 8, 50).astype(np.int8),
            rng.random(50) < faces,
        )
        for k in range(num_videos)
    ]
    facts = {"checkpoints": ["0123456789abcdef"]}
    return Result(name, f"work/{name}", "box:5", evaluate(videos), facts, ("a note & more",), ("video 0: 2 lines",))


class Page(HTMLParser):
    """Checks that tags are closed in order, and collects text and image sources."""

    VOID = frozenset({"meta", "img", "br", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
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
    matrix = rows(folder / "confusion.csv")
    assert matrix[0] == ["annotated", *EXPRESSION_CLASSES]
    assert np.array_equal(np.array([row[1:] for row in matrix[1:]], dtype=int), scores.confusion)
    assert len(rows(folder / "per_class.csv")) == 1 + 2 * 8
    assert [row[0] for row in rows(folder / "per_video.csv")] == ["video", "video 0 <é>", "video 1 <é>", "video 2 <é>"]


def test_the_page_stands_alone_and_shows_what_was_scored(tmp_path: Path) -> None:
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
    assert page.links and all(link.startswith("data:image/png;base64,") for link in page.links)


def test_the_figure_is_an_image_and_repeats_byte_for_byte(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_report(tmp_path / name, [result()], "annotations")
    first, second = ((tmp_path / name / "confusion.png").read_bytes() for name in ("a", "b"))
    assert first == second
    image = cv2.imread(str(tmp_path / "a" / "confusion.png"))
    assert image is not None and min(image.shape[:2]) > 600 and image.std() > 10


def test_several_results_side_by_side(tmp_path: Path) -> None:
    results = [result("static", 1), result("temporal", 2)]
    page = read_page(write_report(tmp_path, results, "annotations"))
    assert "Side by side" in page.text
    assert not any("cannot be compared" in text for text in page.text)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert [entry["name"] for entry in metrics["results"]] == ["static", "temporal"]
    assert (tmp_path / "static" / "confusion.png").exists() and (tmp_path / "temporal" / "per_video.csv").exists()


def test_results_on_different_videos_are_marked(tmp_path: Path) -> None:
    results = [result("static", num_videos=3), result("temporal", num_videos=2)]
    page = read_page(write_report(tmp_path, results, "annotations"))
    assert any("cannot be compared" in text for text in page.text)


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
    with pytest.raises(DataError, match="holds no report"):
        write_report(tmp_path / "thesis", [result()], "annotations")
    assert (tmp_path / "thesis" / "index.html").read_text() == "mine"


def test_two_results_of_one_name_and_a_file_for_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="one name"):
        write_report(tmp_path, [result(), result()], "annotations")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        write_report(tmp_path / "file", [result()], "annotations")
