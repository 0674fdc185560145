from __future__ import annotations

from pathlib import Path

import pytest

from abaw.core.errors import ConfigError, DataError
from abaw.protocol.editions import edition
from abaw.protocol.template import Template, parse_location, read_template, read_video_list, require_edition

HEADER = "image_location,Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(f"{HEADER}\nb é/00002.jpg,0\na/00001.jpg,0\nb é/00001.jpg,0\n", id="a dummy 0 (6th edition)"),
        pytest.param(f"{HEADER}\nb é/00002.jpg,\na/00001.jpg,\nb é/00001.jpg,\n", id="nothing after the comma (5th)"),
        pytest.param(f"{HEADER}\nb é/00002.jpg\na/00001.jpg\nb é/00001.jpg", id="only locations"),
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


def test_a_template_without_a_header_loses_no_row(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("a/00001.jpg,0\na/00002.jpg,0\n")
    template = read_template(tmp_path / "t.txt")
    assert (template.header, template.locations) == ("", ["a/00001.jpg", "a/00002.jpg"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "expected a header and one row per frame", id="empty"),
        pytest.param(HEADER.encode(), "expected a header and one row per frame", id="header alone"),
        pytest.param(
            f"{HEADER}\na/00001.jpg,0\nrubbish\n".encode(), r"t\.txt:3: expected .* found 'rubbish'", id="row"
        ),
        pytest.param(f"{HEADER}\na/x.jpg,0\n".encode(), r"t\.txt:2:", id="no frame number"),
        pytest.param(b"\xff\xfe\x00a\n", "not readable as a template", id="not text"),
    ],
)
def test_faults(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "t.txt").write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_template(tmp_path / "t.txt")


def test_a_missing_template_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"t\.txt: no such file"):
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


@pytest.mark.parametrize(
    ("header", "name", "words"),
    [
        (
            HEADER,
            "abaw6_ce",
            r"t\.txt: this is the template of edition abaw5 or .*, not of abaw6_ce; use --edition abaw10 or",
        ),
        ("image,valence,arousal,expression,aus", "abaw6", "of edition abaw4_mtl or abaw7_mtl, not of abaw6"),
        (
            "image_location,valence,arousal",
            "abaw6",
            "of edition abaw8_va or abaw10_va, not of abaw6; use --edition abaw10_va",
        ),
    ],
)
def test_the_template_of_another_edition_is_refused(header: str, name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        require_edition(Template(Path("t.txt"), header, ["a/00001.jpg"]), edition(name))


@pytest.mark.parametrize(
    ("header", "name"), [(HEADER, "abaw6"), (HEADER, "abaw10"), ("image", "abaw4_mtl"), ("", "abaw7_ce")]
)
def test_the_template_of_the_edition_and_an_unknown_header_are_accepted(header: str, name: str) -> None:
    require_edition(Template(Path("t.txt"), header, ["a/00001.jpg"]), edition(name))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("b é\na\n", {"b é": None, "a": None}, id="only names"),
        pytest.param("\ufeffb é.txt\r\n\r\n a.mp4 \r\nc.5", {"b é": None, "a": None, "c.5": None}, id="with suffixes"),
        pytest.param("Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other\na\n", {"a": None}, id="a header"),
        pytest.param(f"{HEADER}\nb é/00002.jpg,0\na/00001.jpg,0\nb é/00001.jpg,0\n", {"b é": 2, "a": 1}, id="template"),
        pytest.param(f"{HEADER}\na/00001.jpg\na/00007.jpg\n", {"a": 7}, id="template with gaps"),
    ],
)
def test_lists_of_videos(tmp_path: Path, content: str, expected: dict[str, int | None]) -> None:
    (tmp_path / "l.txt").write_bytes(content.encode())
    videos = read_video_list(tmp_path / "l.txt")
    assert list(videos.num_frames.items()) == list(expected.items())
    assert videos.tells_frames == (None not in expected.values())
    known = videos.with_frames({"a": 3, "z": 9}).num_frames
    assert known["a"] == (expected["a"] or 3)
    assert "z" not in known


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "found nothing"),
        (b"a\nb\na\n", r"l\.txt:3: names the video 'a' twice"),
        (b"a\nb,1\n", r"l\.txt:2: expected the name of a video or .* found 'b,1'"),
        (b"a\nbatch1/b.mp4\n", r"l\.txt:2: expected the name of a video"),
        (b"a/00001.jpg\nb\nc/00001.jpg\n", r"l\.txt:2: expected '<video>/00001\.jpg"),
        (b"\xff\xfe\x00a\n", "not readable as a list of videos"),
    ],
)
def test_faults_of_lists_of_videos(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "l.txt").write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_video_list(tmp_path / "l.txt")


@pytest.mark.parametrize("digits", [8, 12, 5000])
def test_a_frame_number_that_no_video_has_is_refused_with_its_line(tmp_path: Path, digits: int) -> None:
    path = tmp_path / "template.txt"
    path.write_text(f"image_location,Neutral\nv/00001.jpg,\nv/{'9' * digits}.jpg,\n")
    for read in (read_template, read_video_list):
        with pytest.raises(DataError, match=r"template\.txt:3: expected '<video>/00001\.jpg,…'") as caught:
            read(path)
        assert len(str(caught.value)) < 500
