from __future__ import annotations

from pathlib import Path

import pytest

from abaw.core.errors import DataError
from abaw.protocol.template import parse_location, read_template

HEADER = "image_location,Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(f"{HEADER}\nb é/00002.jpg,0\na/00001.jpg,0\nb é/00001.jpg,0\n", id="a dummy 0 (6th edition)"),
        pytest.param(f"{HEADER}\nb é/00002.jpg,\na/00001.jpg,\nb é/00001.jpg,\n", id="nothing after the comma (5th)"),
        pytest.param(f"{HEADER}\nb é/00002.jpg\na/00001.jpg\nb é/00001.jpg", id="locations alone"),
        pytest.param(
            f"\ufeff{HEADER}\r\nb é/00002.jpg,0\r\n\r\na/00001.jpg,0\r\nb é/00001.jpg,0\r\n", id="BOM, CRLF, blank"
        ),
    ],
)
def test_reads_rows_in_their_order(tmp_path: Path, content: str) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(content.encode())
    template = read_template(path)
    assert template.header == HEADER
    assert template.locations == ["b é/00002.jpg", "a/00001.jpg", "b é/00001.jpg"]
    assert template.videos() == {"b é": 2, "a": 1}
    assert list(template.videos()) == ["b é", "a"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "expected a header and a row a frame", id="empty"),
        pytest.param(HEADER.encode(), "expected a header and a row a frame", id="header alone"),
        pytest.param(
            f"{HEADER}\na/00001.jpg,0\nrubbish\n".encode(), r"t\.txt:3: expected .* found 'rubbish'", id="row"
        ),
        pytest.param(f"{HEADER}\na/x.jpg,0\n".encode(), r"t\.txt:2:", id="no frame number"),
        pytest.param(b"\xff\xfe\x00a\n", "not readable as a template", id="no text"),
    ],
)
def test_faults(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "t.txt").write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_template(tmp_path / "t.txt")


def test_a_missing_template_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"t\.txt: not readable as a template"):
        read_template(tmp_path / "t.txt")


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("a b/00012.jpg", ("a b", 12)),
        ("x/y/00012.jpg", ("x/y", 12)),
        ("a/1.jpg", ("a", 1)),
        ("a/00012.png", None),
        ("00012.jpg", None),
        ("", None),
    ],
)
def test_parse_location(location: str, expected: tuple[str, int] | None) -> None:
    assert parse_location(location) == expected
