"""Lists of videos: a path per line, or a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from abaw.core.errors import DataError
from abaw.protocol.listed_videos import ListedVideo, listed_and_found, read_list


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("list.txt", "a.mp4\n\n# later\n  b c.mp4  \r\n", [ListedVideo(Path("a.mp4")), ListedVideo(Path("b c.mp4"))]),
        ("list.TXT", "\ufeffa,b.mp4", [ListedVideo(Path("a,b.mp4"))]),
        ("table.csv", "path\na.mp4\n", [ListedVideo(Path("a.mp4"))]),
        (
            "table.csv",
            'frames, path,subject\n300,"a,b.mp4",anna\n,c.mp4,\n',
            [ListedVideo(Path("a,b.mp4"), "anna", 300), ListedVideo(Path("c.mp4"))],
        ),
    ],
)
def test_what_is_listed(name: str, text: str, expected: list[ListedVideo], tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert read_list(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("list.txt", "# nothing\n", "lists no video"),
        ("table.csv", "video\na.mp4\n", "expected the columns path, subject and frames, found 'video'"),
        ("table.csv", "path,fps\na.mp4,25\n", "found 'path,fps'"),
        ("table.csv", "path,frames\na.mp4,many\n", "line 2: frames 'many': expected a whole number above 0"),
        ("table.csv", "path,frames\na.mp4,0\n", "line 2: frames '0'"),
        ("table.csv", "path,subject\na.mp4,../x\n", "line 2: subject '../x': expected a plain name"),
        ("table.csv", "path,subject\na.mp4,x,y\n", "line 2: expected a path, and no more fields than columns"),
        ("table.csv", "path,subject\n,x\n", "line 2: expected a path"),
    ],
)
def test_what_is_refused(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as caught:
        read_list(tmp_path / name)
    assert message in str(caught.value)


def test_lists_and_searched_folders_together(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("path,subject\nx/a.mp4,anna\ny/a.mp4,ben\nx/a.mp4,anna\n")
    found = listed_and_found([Path("folder"), table], lambda paths: [path / "z.mp4" for path in paths])
    assert [(str(video.path), video.subject) for video in found] == [
        ("folder/z.mp4", None), ("x/a.mp4", "anna"), ("y/a.mp4", "ben"),
    ]  # fmt: skip
    table.write_text("path\nx/a.mp4\ny/a.mp4\n")
    with pytest.raises(DataError, match=r"two videos have stores named 'a': x/a.mp4 and y/a.mp4; list them in a table"):
        listed_and_found([table], list)
