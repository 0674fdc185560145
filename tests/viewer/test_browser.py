"""The viewer in a real browser: opened from disk, playback, seeking, keys, phone size, dark theme."""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
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
        person(folder, LABELS, name="clip_person1", annotated=ANNOTATED),
        person(folder, [6] * NUM_FRAMES, name="clip_person2", box=(90, 20, 120, 60)),
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


def test_the_page_of_joined_recordings_has_one_time_from_first_to_last_frame(opened: Opened, tmp_path: Path) -> None:
    """The time stamps of both halves begin at 0; the copy that the page plays goes on."""
    half_s = [frame / 25 for frame in range(NUM_FRAMES // 2)]
    people = [person(tmp_path, LABELS, annotated=ANNOTATED, times_s=half_s * 2)]
    video = write_numbered(tmp_path / "clip.mp4", NUM_FRAMES, options={"crf": "18"})
    file = tmp_path / "joined.html"
    facts = Video("joined", "clip.ts", 25.0, (WIDTH, HEIGHT), {})
    file.write_text(render_viewer(facts, people, Media("video/mp4", video.read_bytes(), None)), encoding="utf-8")
    page = opened(file, anchor="#frame=60")
    expect(page.locator("header")).to_contain_text("0:06.00 · 150 frames")
    page.keyboard.press("Shift+ArrowRight")
    settle(page)
    assert (frame_on_page(page), page.evaluate(_NUMBER_SHOWN)) == (85, 85)
    shares = page.locator("td.bar").all_inner_texts()
    assert shares[:3] == ["35.7 %", "35.7 %", "28.6 %"]  # of 140 frames
    assert "-" not in "".join(page.locator("table").all_inner_texts())
    with page.expect_download() as download:
        page.locator("[data-export=csv]").click()
    download.value.save_as(tmp_path / "csv")
    rows = list(csv.DictReader((tmp_path / "csv").read_text(encoding="utf-8").splitlines()))
    assert [(row["start_s"], row["end_s"]) for row in rows] == [
        ("0.000", "1.600"),
        ("1.600", "2.800"),
        ("3.200", "4.000"),
        ("4.000", "6.000"),
    ]


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


def place_of(page: Page, person: int) -> dict[str, float]:
    """The middle of the box of a person, in pixels of the overlay."""
    area = page.locator("#overlay").bounding_box()
    assert area is not None
    x1, y1, x2, y2 = [(20, 10, 60, 50), (90, 20, 120, 60)][person]
    ratio = area["width"] / WIDTH
    return {"x": (x1 + x2) / 2 * ratio, "y": (y1 + y2) / 2 * ratio}


def test_a_click_on_a_face_or_a_band_chooses_its_person(opened: Opened) -> None:
    page = opened(anchor="#frame=10")
    page.locator("#screen").click(position=place_of(page, 1))
    expect(page.locator("#person")).to_have_value("1")
    expect(page.locator("#verdict")).to_have_text("Surprise")
    expect(page.locator("#play")).to_have_attribute("aria-label", "play")
    expect(page.locator(".labels .who.own")).to_have_text("person 2")
    page.locator("#timeline .plot").click(position={"x": 300, "y": 22 + 4 + 10})
    expect(page.locator("#person")).to_have_value("0")
    page.locator("#screen").click(position=place_of(page, 0))
    expect(page.locator("#play")).to_have_attribute("aria-label", "pause")


def test_the_page_opens_on_somebody_who_is_in_the_picture(opened: Opened, tmp_path: Path) -> None:
    video_facts = Video("clip", "clip.mp4", 25.0, (WIDTH, HEIGHT), {})
    video = write_numbered(tmp_path / "clip.mp4", NUM_FRAMES)
    late = [None] * 20 + [0] * 130
    for labels, expected, frame in (([1] * 15 + [None] * 135, "Anger", 1), ([None] * 8 + [1] * 142, "Anger", 9)):
        people = [person(tmp_path, late, name="clip_person1"), person(tmp_path, labels, name="clip_person2")]
        file = tmp_path / "clip.html"
        media = Media("video/mp4", video.read_bytes(), None)
        file.write_text(render_viewer(video_facts, people, media), encoding="utf-8")
        page = opened(file)
        expect(page.locator("#verdict")).to_have_text(expected)
        assert frame_on_page(page) == frame


def test_segments_are_exported(opened: Opened, tmp_path: Path) -> None:
    page = opened()
    texts = {}
    for ending in ("csv", "vtt", "eaf"):
        with page.expect_download() as download:
            page.locator(f"[data-export={ending}]").click()
        assert download.value.suggested_filename.endswith(f".{ending}")
        download.value.save_as(tmp_path / ending)
        texts[ending] = (tmp_path / ending).read_text(encoding="utf-8")
    rows = list(csv.DictReader(texts["csv"].splitlines()))
    assert [(row["person"], row["label"], row["first_frame"], row["last_frame"]) for row in rows] == [
        ("1", "Neutral", "1", "40"),
        ("1", "Happiness", "41", "70"),
        ("1", "Happiness", "81", "100"),
        ("1", "Sadness", "101", "150"),
        ("2", "Surprise", "1", "150"),
    ]
    assert float(rows[1]["start_s"]) == 1.6 and float(rows[1]["mean_probability"]) == pytest.approx(0.72, abs=1e-3)
    assert texts["vtt"].startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.600\nperson 1: Neutral\n")
    document = ElementTree.fromstring(texts["eaf"])
    assert [tier.attrib["TIER_ID"] for tier in document.iter("TIER")] == ["person 1", "person 2"]
    assert [value.text for value in document.iter("ANNOTATION_VALUE")] == [row["label"] for row in rows]
    slots = {slot.attrib["TIME_SLOT_ID"]: int(slot.attrib["TIME_VALUE"]) for slot in document.iter("TIME_SLOT")}
    spans = [
        (slots[one.attrib["TIME_SLOT_REF1"]], slots[one.attrib["TIME_SLOT_REF2"]])
        for one in document.iter("ALIGNABLE_ANNOTATION")
    ]
    assert spans[1] == (1600, 2800) and spans[4] == (0, 6000)


def test_a_photo_of_several_people(opened: Opened, tmp_path: Path) -> None:
    picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    data = cv2.imencode(".png", picture)[1].tobytes()
    people = [
        person(tmp_path, [label], name=f"photo_person{number}", box=box)
        for number, (label, box) in enumerate([(4, (20, 10, 60, 50)), (1, (90, 20, 120, 60))], start=1)
    ]
    file = tmp_path / "photo.html"
    facts = Video("photo", "photo.png", 25.0, (WIDTH, HEIGHT), {})
    file.write_text(render_viewer(facts, people, Media("image/png", data, None)), encoding="utf-8")
    for size in (WIDE, NARROW):
        page = opened(file, size=size)
        assert page.locator(".everybody tbody tr").all_inner_texts() == [
            "person 1\tHappiness\t72.0 %",
            "person 2\tAnger\t72.0 %",
        ]
        page.locator("#screen").click(position=place_of(page, 1))
        expect(page.locator("#verdict")).to_have_text("Anger")
        edges = page.evaluate(
            "[...document.querySelectorAll('.bars .track')].map((one) => one.getBoundingClientRect().x)"
        )
        assert len(set(edges)) == 1
        assert page.evaluate("document.documentElement.scrollWidth") == size[0]


def test_landmarks_valence_and_arousal_are_shown_where_there_are_any(opened: Opened, tmp_path: Path) -> None:
    points = np.array([[32, 24, 48, 24, 40, 32, 34, 40, 46, 40]], np.float32)
    plain = person(tmp_path, [4], name="plain")
    rich = replace(plain, landmarks=points, valence_arousal=np.array([[-0.25, 0.5]], np.float32))
    data = cv2.imencode(".png", np.full((HEIGHT, WIDTH, 3), 90, np.uint8))[1].tobytes()
    drawn = f"""(points) => {{
      const overlay = document.getElementById('overlay'), ratio = overlay.width / {WIDTH};
      const canvas = new OffscreenCanvas(overlay.width, overlay.height);
      const pen = canvas.getContext('2d', {{ willReadFrequently: true }});
      pen.drawImage(overlay, 0, 0);
      return points.map(([x, y]) => [...pen.getImageData(x * ratio, y * ratio, 1, 1).data]);
    }}"""
    for one, shown in ((rich, True), (plain, False)):
        file = tmp_path / f"shown_{shown}.html"
        facts = Video("photo", "photo.png", 25.0, (WIDTH, HEIGHT), {})
        file.write_text(render_viewer(facts, [one], Media("image/png", data, None)), encoding="utf-8")
        page = opened(file)
        assert (
            page.evaluate(drawn, points.reshape(5, 2).tolist()) == [[255, 255, 255, 255] if shown else [0, 0, 0, 0]] * 5
        )
        assert page.locator("#affect").all_inner_texts() == (["valence −0.25, arousal +0.50"] if shown else [])


def test_on_a_phone_no_table_is_cut_off(opened: Opened) -> None:
    page = opened(size=NARROW)
    cut = page.evaluate(
        "[...document.querySelectorAll('.wide')].filter((each) => each.scrollWidth > each.clientWidth)"
        ".map((each) => [each.innerText.slice(0, 30), each.scrollWidth, each.clientWidth])"
    )
    assert cut == []
    facts, switch = page.locator("header p").bounding_box(), page.locator("#theme").bounding_box()
    assert facts is not None and switch is not None and facts["y"] >= switch["y"] + switch["height"] - 4
