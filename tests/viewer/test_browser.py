"""The viewer in a real browser: opened from disk, playback, seeking, keys, phone size, dark theme."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.viewer.index import VideoCard, render_index
from abaw.viewer.media import Media
from abaw.viewer.page import Video, render_viewer
from abaw.viewer.tables import person_summary
from tests.video.numbered import BAR, BITS, HEIGHT, WIDTH, write_numbered
from tests.viewer.people import person

NUM_FRAMES = 150
LABELS = [0] * 40 + [4] * 30 + [None] * 10 + [4] * 20 + [5] * 50
ANNOTATED = [0] * 40 + [4] * 60 + [3] * 25 + [5] * 20 + [-1] * 5
WIDE, NARROW = (1200, 800), (360, 740)

Opened = Callable[..., Page]

_NUMBER_SHOWN = f"""() => {{
  const video = document.getElementById('video');
  const canvas = new OffscreenCanvas({WIDTH}, {HEIGHT});
  const pen = canvas.getContext('2d', {{ willReadFrequently: true }});
  pen.drawImage(video, 0, 0, {WIDTH}, {HEIGHT});
  let number = 0;
  for (let bit = 0; bit < {BITS}; bit++) {{
    const [red, green, blue] = pen.getImageData(bit * {BAR} + 8, 24, 1, 1).data;
    if (red + green + blue > 384) number |= 1 << bit;
  }}
  return number;
}}"""
"""Reads the number drawn in the picture on the screen."""


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with two people, one of them annotated, an embedded video and a name with special characters."""
    folder = tmp_path_factory.mktemp("viewer pages")
    video = write_numbered(folder / "clip.mp4", NUM_FRAMES, options={"crf": "18"})
    people = [
        person(folder, LABELS, name="clip_track1", annotated=ANNOTATED),
        person(folder, [6] * NUM_FRAMES, name="clip_track2", box=(90, 20, 120, 60)),
    ]
    video_facts = Video("Gesicht & <b>面</b>", "clip.mp4", 25.0, (WIDTH, HEIGHT), {"detector": "none"})
    file = folder / "Gesicht 面.html"
    file.write_text(render_viewer(video_facts, people, Media("video/mp4", video.read_bytes(), None)), encoding="utf-8")
    return file


@pytest.fixture
def opened(browser: Browser, page_file: Path) -> Iterator[Opened]:
    """Opens a page without network; any console message or request is a failure."""
    contexts, problems = [], []

    def open_page(file: Path = page_file, size: tuple[int, int] = WIDE, dark: bool = False, anchor: str = "") -> Page:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if dark else "light", offline=True
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda asked: problems.append(asked.url) if asked.url.startswith("http") else None)
        page.goto(file.as_uri() + anchor)
        if page.locator("video").count():
            until(page, "document.getElementById('video').readyState >= 2")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems


def until(page: Page, condition: str) -> None:
    """Wait for a JavaScript condition. (Playwright's own wait uses eval, which the page's policy forbids.)"""
    deadline = time.monotonic() + 30
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(30)


def frame_on_page(page: Page) -> int:
    found = re.search(r"frame (\d+) / (\d+)", page.locator("#readout").inner_text())
    assert found is not None and int(found[2]) == NUM_FRAMES
    return int(found[1])


def settle(page: Page) -> None:
    """Wait until the browser has finished seeking and drawing."""
    until(page, "!document.getElementById('video').seeking")
    page.wait_for_timeout(120)


def test_the_picture_is_the_frame_that_the_page_names(opened: Opened) -> None:
    page = opened()
    for place in (0.0, 0.11, 0.5, 0.873, 0.999, 0.25):
        plot = page.locator("#timeline .plot")
        box = plot.bounding_box()
        assert box is not None
        plot.click(position={"x": place * (box["width"] - 1), "y": 60})
        settle(page)
        frame = frame_on_page(page)
        assert abs(frame - (1 + place * NUM_FRAMES)) <= 2
        assert abs(page.evaluate(_NUMBER_SHOWN) - frame) <= 1
        cursor = page.locator("#timeline .cursor").bounding_box()
        assert cursor is not None
        assert abs(cursor["x"] - box["x"] - (frame - 1) / NUM_FRAMES * box["width"]) < box["width"] / NUM_FRAMES
        assert page.locator("#slider").get_attribute("aria-valuenow") == str(frame)


def test_single_steps_show_every_frame(opened: Opened) -> None:
    page = opened(anchor="#frame=60")
    settle(page)
    shown = []
    for _ in range(6):
        page.keyboard.press("ArrowRight")
        settle(page)
        shown.append((frame_on_page(page), page.evaluate(_NUMBER_SHOWN)))
    assert shown == [(frame, frame) for frame in range(61, 67)]


def test_the_cursor_follows_playback(opened: Opened) -> None:
    page = opened()
    page.keyboard.press(" ")
    expect(page.locator("#play")).to_have_attribute("aria-label", "pause")
    until(page, "Number(document.getElementById('slider').getAttribute('aria-valuenow')) > 20")
    page.keyboard.press(" ")
    settle(page)
    assert abs(page.evaluate(_NUMBER_SHOWN) - frame_on_page(page)) <= 1


def test_keys(opened: Opened) -> None:
    page = opened()

    def after(*keys: str) -> int:
        for key in keys:
            page.keyboard.press(key)
        return frame_on_page(page)

    assert after("n") == 41
    assert after("n", "n") == 101
    assert after("p") == 81
    assert after("6") == 101, "the sixth class begins there"
    assert after("5") == 41, "wraps around to the first segment"
    assert after("d") == 101, "annotated as fear, predicted as sadness"
    assert after("End") == NUM_FRAMES
    assert after("Shift+ArrowLeft") == NUM_FRAMES - 25
    assert after("Home") == 1
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    page.keyboard.press("b")
    expect(page.locator("#boxes")).not_to_be_checked()


def test_the_panel_describes_the_current_frame(opened: Opened) -> None:
    page = opened(anchor="#frame=110")
    expect(page.locator("#verdict")).to_have_text("Sadness")
    expect(page.locator("#annotated")).to_contain_text("annotated: Fear")
    expect(page.locator(".bars li").nth(5).locator("output")).to_have_text("72 %")
    expect(page.locator("#slider")).to_have_attribute("aria-valuetext", re.compile(r"frame 110 of 150.*Sadness"))
    page.evaluate("location.hash = 'frame=75'")
    expect(page.locator("#verdict")).to_have_text("no face")


def test_choosing_another_person(opened: Opened) -> None:
    page = opened(anchor="#frame=10")
    page.select_option("#person", "1")
    expect(page.locator("#verdict")).to_have_text("Surprise")
    expect(page.locator(".person-tables").nth(0)).to_be_hidden()
    expect(page.locator(".person-tables").nth(1)).to_be_visible()
    assert frame_on_page(page) == 10


def test_a_click_on_a_segment_jumps_to_its_first_frame(opened: Opened) -> None:
    page = opened()
    page.locator(".segments .jump:visible").nth(2).click()
    assert frame_on_page(page) == 81
    page.locator(".differing .jump:visible").first.click()
    assert frame_on_page(page) == 101


def test_names_are_shown_as_text(opened: Opened) -> None:
    page = opened()
    expect(page.locator("h1")).to_have_text("Gesicht & <b>面</b>")
    assert page.locator("h1 b").count() == 0


@pytest.mark.parametrize("size", [NARROW, WIDE])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_overflows_and_every_control_has_a_label(opened: Opened, size: tuple[int, int], dark: bool) -> None:
    page = opened(size=size, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 200) == dark
    unlabelled = page.evaluate(
        """[...document.querySelectorAll('button, select, input, canvas[role], img, [role=slider]')].filter((each) =>
        !(each.getAttribute('aria-label') || each.alt || each.textContent.trim() || each.closest('label'))).length"""
    )
    assert unlabelled == 0
    labels = page.locator(".bars .name").all_inner_texts()
    assert [text.strip() for text in labels] == list(EXPRESSION_CLASSES)


def test_a_linked_video(opened: Opened, tmp_path: Path) -> None:
    video_facts = Video("clip", "clip.mp4", 25.0, (WIDTH, HEIGHT), {})
    write_numbered(tmp_path / "clip.mp4", NUM_FRAMES)
    file = tmp_path / "clip.html"
    link = Media("video/mp4", None, "clip.mp4")
    file.write_text(render_viewer(video_facts, [person(tmp_path, LABELS)], link), encoding="utf-8")
    page = opened(file, anchor="#frame=77")
    settle(page)
    assert (frame_on_page(page), page.locator("#verdict").inner_text()) == (77, "no face")


def test_without_its_video_the_page_still_plays(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "clip.html"
    video_facts = Video("clip", "clip.mp4", 25.0, (WIDTH, HEIGHT), {})
    text = render_viewer(video_facts, [person(tmp_path, LABELS)], Media("video/mp4", None, "gone.mp4"))
    file.write_text(text, encoding="utf-8")
    page = browser.new_page()
    page.goto(file.as_uri())
    expect(page.locator("#no-video")).to_contain_text("gone.mp4 is missing")
    page.keyboard.press("ArrowRight")
    assert frame_on_page(page) == 2
    page.keyboard.press(" ")
    until(page, "Number(document.getElementById('slider').getAttribute('aria-valuenow')) > 10")
    page.close()


def test_the_index_leads_to_the_viewers(opened: Opened, page_file: Path) -> None:
    summary = person_summary(person(page_file.parent, LABELS, name="other", annotated=ANNOTATED))
    nobody = person_summary(person(page_file.parent, [None] * 3, name="nobody"))
    entries = [
        VideoCard("first", page_file.name, NUM_FRAMES, [summary], None),
        VideoCard("nobody", "nobody.html", 3, [nobody], None),
    ]
    index = page_file.with_name("index.html")
    index.write_text(render_index(entries), encoding="utf-8")
    page = opened(index, size=NARROW)
    assert page.evaluate("document.documentElement.scrollWidth") == NARROW[0]
    expect(page.locator(".cards li").nth(1)).to_contain_text("no face")
    page.get_by_role("link", name="first").click()
    until(page, "document.getElementById('video')?.readyState >= 2")
    assert frame_on_page(page) == 1
