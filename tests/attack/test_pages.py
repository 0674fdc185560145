"""Pages of inputs with hostile names: no element, attribute or script on them comes from a name."""

from __future__ import annotations

import json
import os
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

from abaw.protocol.annotations import write_annotation
from pipelines.cli import main
from tests.pipelines.affwild2 import make_tree
from tests.pipelines.validate_data import predict
from tests.video.clips import portraits, write_clip
from tests.viewer.conftest import browser as browser

pytestmark = pytest.mark.slow

NAMES = (
    "<script>window.ran=1<script>",
    "<img src=x onerror=window.ran=1>",
    '"><svg onload=window.ran=1>',
    "' onmouseover='window.ran=1' autofocus onfocus='window.ran=1",
    "javascript:window.ran=1",
    "a\nline\rfeed\tand \x1b[31m",
    "<!-- ]]> <title> <textarea>",
    "&lt;script&gt;window.ran=1&#60;b>",
    "\u202elmth.txt\u2066 ﷽",
    "{{7*7}}${window.ran=1}`${window.ran=1}`\\u003cb>",
    "<b>" * 60,
    os.fsdecode(b"\xff\xfe<i>"),
)
NUM_FRAMES = 24
ADDRESSES = frozenset({"href", "src", "action", "srcset", "formaction"})


class Skeleton(HTMLParser):
    """The elements of a page with the names of their attributes, and its addresses."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, ...]] = []
        self.addresses: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, *(name for name, _ in attributes)))
        self.addresses += [value or "" for name, value in attributes if name in ADDRESSES]


def require_alike(hostile: Path, plain: Path) -> None:
    """Names change no element, and no address is a script."""
    found, usual = Skeleton(hostile), Skeleton(plain)
    assert found.elements == usual.elements, hostile
    assert not [each for each in found.addresses if each.strip().lower().startswith(("javascript:", "vbscript:"))]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results for the hostile names, and in `plain` for as many plain ones: of the same video, prediction and labels.

    In each, `pages` are of predict-video and `report` of validate, which links to them.
    """
    root = tmp_path_factory.mktemp("pages")
    clip = write_clip(root / "clip.mp4", portraits(NUM_FRAMES, side=96))
    labels = [index // 6 for index in range(NUM_FRAMES)]
    for folder, names in (
        (root / "hostile", NAMES),
        (root / "plain", [f"name {number}" for number in range(len(NAMES))]),
    ):
        (folder / "videos").mkdir(parents=True)
        for name in names:
            shutil.copyfile(clip, folder / "videos" / f"{name}.mp4")
            predict(folder / "predictions", name, labels)
            write_annotation(folder / "labels" / "Validation_Set" / f"{name}.txt", np.array(labels))
        common = ["--annotations", str(folder / "labels")]
        pages = ["predict-video", str(folder / "videos"), "--out", str(folder / "pages"), "--detector", "builtin"]
        assert main([*pages, "--accelerator", "cpu", *common]) == 0
        report = ["validate", "--predictions", str(folder / "predictions"), "--out", str(folder / "report")]
        assert main([*report, "--viewers", str(folder / "pages"), *common]) == 0
    return root


@pytest.mark.parametrize("number", range(len(NAMES)), ids=map(ascii, NAMES))
def test_the_page_of_a_video(made: Path, number: int) -> None:
    require_alike(made / "hostile/pages" / f"{NAMES[number]}.html", made / "plain/pages" / f"name {number}.html")


def test_the_index_of_the_pages(made: Path) -> None:
    require_alike(made / "hostile/pages/index.html", made / "plain/pages/index.html")


def test_the_report(made: Path) -> None:
    require_alike(made / "hostile/report/index.html", made / "plain/report/index.html")


@pytest.mark.parametrize("place", ["predictions", "annotations"])
@pytest.mark.parametrize("number", range(len(NAMES)), ids=map(ascii, NAMES))
def test_the_report_of_folders_with_hostile_names(made: Path, tmp_path: Path, place: str, number: int) -> None:
    """Here a name may also hold `</script>`: its two halves are folders."""
    given = {"predictions": made / "plain/predictions", "annotations": made / "plain/labels"}
    folder = tmp_path / f"{NAMES[number]}<" / "script><u>"
    shutil.copytree(given[place], folder)
    given[place] = folder
    words = [text for name, path in given.items() for text in (f"--{name}", str(path))]
    viewers = ["--viewers", str(made / "plain/pages")]
    assert main(["validate", *words, *viewers, "--out", str(tmp_path / "report")]) == 0
    require_alike(tmp_path / "report/index.html", made / "plain/report/index.html")


def test_a_summary_that_another_program_wrote(made: Path, tmp_path: Path) -> None:
    """A summary in the output folder whose values are HTML."""
    pages = tmp_path / "pages"
    shutil.copytree(made / "plain/pages", pages)
    file = pages / "name 0.json"
    summary = json.loads(file.read_text())
    summary["portrait"] = 'x"><script>window.ran=1</script>'
    summary["video"] = "</title><script>window.ran=1</script>"
    file.write_text(json.dumps(summary))
    videos = [str(made / "plain/videos" / f"name {number}.mp4") for number in (1, 2)]
    main(["predict-video", *videos, "--out", str(pages), "--detector", "builtin", "--accelerator", "cpu"])
    tags = [element[0] for element in Skeleton(pages / "index.html").elements]
    assert tags.count("script") == 1  # the page's own


def test_names_in_official_data_run_in_no_spreadsheet(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    labels = tree / "annotations/EXPR_Recognition_Challenge/Train_Set"
    for name in ("=1+1", "@SUM(1)", *NAMES):
        shutil.copyfile(labels / "film é.txt", labels / f"{name}.txt")
    main(["check-data", "--root", str(tree), "--subset", "--out", str(tmp_path / "counts.csv")])
    lines = (tmp_path / "counts.csv").read_text(encoding="utf-8").splitlines()
    assert any(line.startswith("'=1+1") for line in lines)
    assert not [line for line in lines if line.startswith(("=", "@"))]


def test_no_script_runs_in_a_browser(made: Path, browser: Browser) -> None:
    found = sorted(made.glob("hostile/pages/*.html")) + [made / "hostile/report/index.html"]
    context = browser.new_context()
    page = context.new_page()
    for path in found:
        page.goto(path.as_uri())
        page.wait_for_load_state()
        for element in page.locator("a, [tabindex]").all()[:20]:
            element.dispatch_event("mouseover")
            element.dispatch_event("focus")
        assert page.evaluate("window.ran") is None, path
    context.close()
