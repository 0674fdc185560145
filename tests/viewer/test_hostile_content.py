"""What comes from a file and goes into a page is checked and escaped: no script of someone else's runs."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from abaw.core.errors import DataError
from abaw.page.parts import bullets, card, document, json_island, swatch
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.viewer.index import VideoCard, read_card, render_index
from abaw.viewer.page import Video
from pipelines.predict_video.results import INDEX, write_index

ATTACK = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>]]>--><!--</script>&amp;"
PERSON: dict[str, Any] = {"seconds_with_face": 1.0, "share_of_time": dict.fromkeys(EXPRESSION_CLASSES, 0.125)}
SUMMARY: dict[str, Any] = {
    "kind": "predict-video",
    "video": "a",
    "frames": 25,
    "people": [PERSON],
    "portrait": "data:image/jpeg;base64,AAAA",
    "files": ["a.csv", "a.html"],
    "fingerprint": "x",
}


class _Elements(HTMLParser):
    """Elements with their attributes, as a browser reads them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def _require_harmless(text: str, scripts: int) -> None:
    elements = _Elements(text).found
    assert sum(tag == "script" for tag, _ in elements) == scripts
    assert not [attributes for _, attributes in elements if any(name.startswith("on") for name in attributes)]
    for tag, attributes in elements:
        if tag == "img":
            assert str(attributes["src"]).startswith("data:image/")


def test_names_in_the_index_are_text() -> None:
    text = render_index([VideoCard(ATTACK, f"{ATTACK}.html", 25, [PERSON], None)] * 2)
    _require_harmless(text, scripts=1)


@pytest.mark.parametrize(
    "portrait",
    [f"x{ATTACK}", "javascript:alert(1)", "data:text/html;base64,AAAA", "data:image/svg+xml;base64,AAAA"]
    + ["https://example.org/x.png", f"data:image/jpeg;base64,AAAA{ATTACK}", "data:image/jpeg;base64,AA\nAA", ""],
)
def test_a_portrait_is_a_picture_and_no_other_address(portrait: str) -> None:
    with pytest.raises(ValueError, match="portrait: expected a picture"):
        VideoCard("a", "a.html", 25, [PERSON], portrait)


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("video", [None, 3, "b", ATTACK]),
        ("frames", [None, "25", ATTACK, 0, -1, 10**30]),
        ("people", [None, [], {}, [None], ["x"], [{}], [{**PERSON, "share_of_time": {"<b>": 1}}]]),
        ("people", [[{**PERSON, "seconds_with_face": ATTACK}], [{**PERSON, "annotated": {"agreement": ATTACK}}]]),
        (
            "people",
            [[{**PERSON, "share_of_time": dict.fromkeys(EXPRESSION_CLASSES, ATTACK)}], [{**PERSON, "annotated": 1}]],
        ),
        ("portrait", [3, ATTACK, {"x": 1}]),
        ("files", [None, "a.csv", [3], ["../x"], ["/etc/passwd"]]),
        ("kind", [None, "other"]),
    ],
)
def test_a_summary_of_another_source_is_left_out_of_the_index(tmp_path: Path, key: str, values: list[Any]) -> None:
    for name in ("b", "c"):
        (tmp_path / f"{name}.json").write_text(json.dumps({**SUMMARY, "video": name}))
    for value in values:
        (tmp_path / "a.json").write_text(json.dumps({**SUMMARY, key: value}))
        assert write_index(tmp_path) == tmp_path / INDEX
        text = (tmp_path / INDEX).read_text(encoding="utf-8")
        assert text.count("<li>") == 2 and "2 videos" in text
        _require_harmless(text, scripts=1)
    without = {name: value for name, value in SUMMARY.items() if name != key}
    (tmp_path / "a.json").write_text(json.dumps(without))
    write_index(tmp_path)
    assert (tmp_path / INDEX).read_text(encoding="utf-8").count("<li>") == (3 if key == "portrait" else 2)


def test_a_summary_of_this_program_has_its_card() -> None:
    assert read_card("a", SUMMARY) == VideoCard("a", "a.html", 25, (PERSON,), SUMMARY["portrait"])


def test_size_and_rate_of_a_video_are_numbers() -> None:
    with pytest.raises(DataError, match="its faces store says"):
        Video("a", "a.mp4", 25.0, (ATTACK, 3), {})  # type: ignore[arg-type]
    with pytest.raises(DataError, match="its faces store says"):
        Video("a", "a.mp4", ATTACK, (3, 3), {})  # type: ignore[arg-type]


def test_parts_of_pages_show_text_as_text() -> None:
    parts = [bullets([ATTACK]), swatch(0, ATTACK), json_island("data", {"x": ATTACK}), card("1", "x", "y", ATTACK)]
    _require_harmless(document(ATTACK, parts), scripts=2)
