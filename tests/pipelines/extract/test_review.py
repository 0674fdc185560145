"""`abaw extract --review` and `--corrections`: whom a store shows, seen and put right."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from abaw.stores.faces import open_faces
from abaw.video.detecting.detector import Detector
from pipelines.cli import main
from tests.video.clips import portrait, write_clip


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`two`: one face twice, the right one a little larger; `one`: alone."""
    folder = tmp_path_factory.mktemp("videos")
    large, small = portrait(192), np.pad(portrait(168), ((12, 12), (12, 12), (0, 0)))
    write_clip(folder / "two.mp4", [np.hstack([small, large])] * 15)
    write_clip(folder / "one.mp4", [large] * 15)
    return folder


@pytest.fixture
def weights(shared_data: Path) -> Path:
    return shared_data / "models" / "yunet_n_dynamic.onnx"


def extract(*arguments: object) -> int:
    return main(["extract", *map(str, arguments)])


def meta(folder: Path, name: str) -> Any:
    return open_faces(folder / f"{name}.arrow").meta


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "review" / "review.csv").open() as file:
        return list(csv.DictReader(file))


def test_close_choices_are_reported_and_listed(
    videos: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert extract(videos, "--out", tmp_path, "--detector", weights, "--review") == 0
    said = capsys.readouterr().err
    assert "warning: two.mp4: two: close choice (margin 0." in said
    assert "one: close choice" not in said
    assert f"2 contact sheets in {tmp_path / 'review'}; 1 close choices" in said
    assert sorted(path.name for path in (tmp_path / "review").iterdir()) == ["one.png", "review.csv", "two.png"]
    rows = table(tmp_path)
    assert [row["video"] for row in rows] == ["two", "one"]
    assert (rows[0]["choice"], rows[0]["faces"], rows[1]["margin"]) == ("main", "15", "1.0000")
    assert Image.open(tmp_path / "review" / "two.png").size[0] == 1920


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No detector may run."""

    def refuse(*_: Any) -> Detector:
        raise AssertionError("looked for faces again")

    with monkeypatch.context() as patch:
        patch.setattr("abaw.video.extract.Follower.follow", refuse)
        yield


def test_a_finished_extraction_is_reviewed_without_looking_again(
    videos: Path, weights: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    assert extract(videos, "--out", tmp_path, "--detector", weights) == 0
    assert not (tmp_path / "review").exists()
    request.getfixturevalue("blind")
    assert extract(videos, "--out", tmp_path, "--detector", weights, "--review") == 0
    assert len(table(tmp_path)) == 2


def test_corrections(videos: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = [videos, "--out", tmp_path, "--detector", weights]
    assert extract(*base) == 0
    before = meta(tmp_path, "two")
    chosen, other = before["tracks"], before["runner_up"]
    untouched = (tmp_path / "one.arrow").stat().st_mtime_ns
    file = tmp_path / "fix.csv"
    file.write_text(f"video,track\ntwo,{other[0]}\n")

    assert extract(*base, "--corrections", file) == 0
    after = meta(tmp_path, "two")
    assert (after["choice"], after["correction"], after["tracks"]) == ("corrected", other, other)
    assert after["tracks"] != chosen
    assert open_faces(tmp_path / "two.arrow").store.table["track"].to_pylist() == other * 15
    assert (tmp_path / "one.arrow").stat().st_mtime_ns == untouched
    capsys.readouterr()
    assert extract(*base, "--corrections", file) == 0
    assert extract(*base) == 0
    assert capsys.readouterr().err.count("two.mp4: already exists") == 2, "a corrected store stands"

    file.write_text("video,track\ntwo,9\n")
    assert extract(*base, "--corrections", file) == 1
    assert f"{file}, line 2: no track 9 in two; its tracks are 1, 2" in capsys.readouterr().err
    assert meta(tmp_path, "two")["correction"] == other, "what was there stays"


def test_two_videos_of_one_name_have_their_own_corrections_and_sheets(
    videos: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("two", "one"):
        (tmp_path / name).mkdir()
        shutil.copy(videos / f"{name}.mp4", tmp_path / name / "v.mp4")
    listed, fix, out = tmp_path / "list.csv", tmp_path / "fix.csv", tmp_path / "faces"
    listed.write_text(f"path,subject\n{tmp_path}/two/v.mp4,alice\n{tmp_path}/one/v.mp4,bob\n")
    base = [listed, "--out", out, "--detector", weights]
    assert extract(*base, "--review") == 0
    assert sorted(path.name for path in (out / "review").iterdir()) == ["alice.png", "bob.png", "review.csv"]
    (other,) = meta(out, "alice")["runner_up"]
    fix.write_text(f"video,track\nv,{other}\n")
    capsys.readouterr()
    assert extract(*base, "--corrections", fix) == 1
    assert f"{fix}, line 2: v has alice, bob; name one of them in the column 'subject'" in capsys.readouterr().err
    fix.write_text(f"video,track,subject\nv,{other},alice\n")
    assert extract(*base, "--corrections", fix) == 0
    assert (meta(out, "alice")["choice"], meta(out, "alice")["tracks"]) == ("corrected", [other])
    assert (meta(out, "bob")["choice"], meta(out, "bob")["correction"]) == ("main", None)


@pytest.mark.parametrize(
    ("text", "more", "status", "message"),
    [
        ("video,track\nthree,1\n", [], 1, "fix.csv, line 2: no video 'three' among those given"),
        ("video;track\n", [], 1, "fix.csv: expected the header 'video,track'"),
        ("video,track\none,1\n", ["--subjects", "all"], 2, "--corrections: with --subjects all"),
    ],
)
def test_corrections_that_do_not_fit(
    videos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    text: str,
    more: list[str],
    status: int,
    message: str,
) -> None:
    file = tmp_path / "fix.csv"
    file.write_text(text)
    out = tmp_path / "faces"
    assert extract(videos, "--out", out, "--detector", "builtin", "--corrections", file, *more) == status
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_the_singer_and_nobody_else(shared_data: Path, weights: Path, tmp_path: Path) -> None:
    """Shots of the clip: singer with a pianist, pianist close by, singer (frames 83 to 211), audience of four."""
    clip = shared_data / "videos" / "short_hamilton_clip.mp4"
    assert extract(clip, "--out", tmp_path, "--detector", weights, "--review") == 0
    store = open_faces(tmp_path / "short_hamilton_clip.arrow")
    np.testing.assert_array_equal(np.flatnonzero(store.valid) + 1, [*range(1, 21), *range(83, 212)])
    boxes = store.store.table["box_xyxy"].to_pylist()
    assert all(boxes[row][0] > 500 for row in range(20)), "the singer is on the right of the first shot"
    assert len(store.meta["tracks"]) == 2
    assert store.meta["margin"] > 0.3
    assert len({person["tracks"][0] for person in store.meta["people"] if person["frames"] == 64}) == 4


def test_the_sheet_shows_a_crop_of_each_kind(videos: Path, weights: Path, tmp_path: Path) -> None:
    base = [videos / "one.mp4", "--detector", weights, "--review", "--out"]
    assert extract(*base, tmp_path / "one") == 0
    assert extract(*base, tmp_path / "two", "--crop", "aligned:112", "box:224:0.3") == 0
    one, two = (np.asarray(Image.open(tmp_path / name / "review" / "one.png")) for name in ("one", "two"))
    assert len(table(tmp_path / "two")) == 1, "one line per person"
    assert one.shape == two.shape
    for place, folder in enumerate(("aligned-112", "box-224-0.30")):
        faces = open_faces(tmp_path / "two" / folder / "one.arrow")
        crop = cv2.imdecode(np.frombuffer(faces.jpeg(len(faces) // 2) or b"", np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        found = cv2.matchTemplate(np.ascontiguousarray(two), np.ascontiguousarray(crop), cv2.TM_SQDIFF)
        _, _, (left, top), _ = cv2.minMaxLoc(found)
        np.testing.assert_array_equal(two[top : top + len(crop), left : left + len(crop)], crop)
        assert (left, top < 200) == (240 * place + 10, True)
        assert two[top - 26 : top, left : left + 60].min() < 80, "its kind is written above"
    differs = np.flatnonzero((one != two).any(axis=(0, 2)))
    assert differs.min() >= 240, "the first kind and the frames below are the same"


def test_kinds_of_crop_that_cannot_be_made(videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert extract(videos, "--out", tmp_path / "faces", "--crop", "box:224") == 2
    assert "crop 'box:224': has no margin; expected aligned:PIXELS or box:PIXELS:MARGIN" in capsys.readouterr().err
    assert not (tmp_path / "faces").exists()
