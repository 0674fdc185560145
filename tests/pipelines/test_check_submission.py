from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.protocol.editions import edition
from abaw.stores.predictions import Predictions, write_predictions
from pipelines.cli import main

HEADER = edition("abaw6").header
LOCATIONS = [f"v/{frame:05d}.jpg" for frame in range(1, 41)]


def check(tmp_path: Path, rows: list[str], *words: str, header: str = HEADER) -> int:
    template = tmp_path / "t.txt"
    template.write_text("\n".join([HEADER, *(f"{location},0" for location in LOCATIONS)]) + "\n")
    (tmp_path / "s.txt").write_text("\n".join([header, *rows]) + "\n")
    return main(["check-submission", str(tmp_path / "s.txt"), "--template", str(template), *words])


def good() -> list[str]:
    return [f"{location},{index % 8}" for index, location in enumerate(LOCATIONS)]


def test_ok(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path, good()) == 0
    assert capsys.readouterr().out == f"{tmp_path / 's.txt'}: ok, 40 rows as in the template\n"


def test_only_warnings_are_ok(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path, [f"{location},3" for location in LOCATIONS]) == 0
    out = capsys.readouterr().out
    assert "s.txt:2: warning: one-class: all rows have the same class, 3" in out
    assert "ok, 40 rows as in the template, 1 warning" in out


def test_faults_are_listed_with_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = good()
    rows[4] = rows[4][:-1] + "9"
    del rows[10]
    assert check(tmp_path, rows, header="image,expression") == 1
    out = capsys.readouterr().out
    assert "s.txt:1: error: edition: wrong edition" in out
    assert "s.txt:6: error: label: expected an integer from 0 to 7, found 9" in out
    assert "s.txt:12: error: missing: row missing: v/00011.jpg" in out
    assert out.splitlines()[-1].endswith("s.txt: 3 errors")


def test_at_most_ten_faults_per_kind_are_shown_unless_all_are_requested(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row + ".0" for row in good()]
    assert check(tmp_path, rows) == 1
    out = capsys.readouterr().out
    assert out.count("error: float") == 10
    assert "float: 40 lines in total, 10 shown; --all lists them" in out
    assert "40 errors" in out
    assert check(tmp_path, rows, "--all") == 1
    out = capsys.readouterr().out
    assert out.count("error: float") == 40
    assert "--all" not in out


def test_wrong_usage_and_missing_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path, good(), "--edition", "abaw9") == 2
    assert "unknown edition 'abaw9'" in capsys.readouterr().err
    assert main(["check-submission", str(tmp_path / "none.txt"), "--template", str(tmp_path / "t.txt")]) == 1
    assert "none.txt: no such file or folder (file)" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["abaw7_mtl", "abaw6_ce"])
def test_the_template_of_another_edition(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path, good(), "--edition", name) == 2
    assert (
        f"this is the template of edition abaw5 or abaw6 or abaw8 or abaw10, not of {name}" in capsys.readouterr().err
    )


def check_folder(tmp_path: Path, template: str, *words: str, **files: str) -> int:
    (tmp_path / "t.txt").write_text(template)
    (tmp_path / "s").mkdir(exist_ok=True)
    for name, rows in files.items():
        (tmp_path / "s" / f"{name}.txt").write_text("\n".join([edition("abaw3").header, *rows]) + "\n")
    places = [str(tmp_path / "s"), "--template", str(tmp_path / "t.txt"), "--edition", "abaw3"]
    return main(["check-submission", *places, *words])


def test_a_folder_against_a_template(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    template = f"{HEADER}\na/00001.jpg,0\na/00002.jpg,0\nb/00001.jpg,0\n"
    assert check_folder(tmp_path, template, a="12", b="3") == 0
    assert capsys.readouterr().out == f"{tmp_path / 's'}: ok, 2 files as in the list\n"
    assert check_folder(tmp_path, template, a="193", z="0") == 1
    out = capsys.readouterr().out
    assert f"{tmp_path / 's' / 'a.txt'}:3: error: label: expected an integer from 0 to 7, found 9" in out
    assert f"{tmp_path / 's' / 'a.txt'}:4: error: extra: 1 more lines than the video has frames; expected 2" in out
    assert f"{tmp_path / 's' / 'z.txt'}: error: extra: z.txt belongs to none of the videos" in out
    assert out.splitlines()[-1].endswith("s: 3 errors")
    assert check_folder(tmp_path, template, "--predictions", str(tmp_path)) == 2
    assert "t.txt lists the frames of each video; leave it out" in capsys.readouterr().err


def test_a_folder_against_a_list_of_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_folder(tmp_path, "a\nb\n", a="12", b="3") == 0
    assert "ok, 2 files as in the list; the number of lines was not checked for 2 of them" in capsys.readouterr().out
    frames = np.arange(1, 4, dtype=np.int32)
    seen = np.ones(3, bool)
    store = Predictions("a", EXPRESSION_CLASSES, frames, seen, seen, np.full((3, 8), 0.125, np.float32), {})
    write_predictions(tmp_path / "p" / "a.arrow", store)
    assert check_folder(tmp_path, "a\nb\n", "--predictions", str(tmp_path / "p")) == 1
    out = capsys.readouterr().out
    assert "a.txt:4: error: missing: video cut short: 2 lines with a class; expected 3" in out


def test_predictions_are_only_for_lists_of_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path, good(), "--predictions", str(tmp_path)) == 2
    assert "the template of abaw6 lists the rows of each video" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "rest"), [("abaw6", "{}"), ("abaw7_mtl", "0.{}123,-0.{}456,{},0,1,0,1,0,1,0,1,0,1,0,1")]
)
def test_a_file_of_the_real_size(tmp_path: Path, name: str, rest: str, capsys: pytest.CaptureFixture[str]) -> None:
    """228 videos with 1,022,655 rows. The limit is 3 s on an idle machine; the test leaves room for a busy one."""
    header = edition(name).header
    values = [rest.replace("{}", str(label)) for label in range(8)]
    locations = [f"{video}-30-1920x1080/{frame:05d}.jpg" for video in range(228) for frame in range(1, 4487)]
    rows = [f"{location},{values[index % 8]}" for index, location in enumerate(locations[:1_022_655])]
    for file in ("t.txt", "s.txt"):
        (tmp_path / file).write_text("\n".join([header, *rows]) + "\n")
    start = time.process_time()
    words = [str(tmp_path / "s.txt"), "--template", str(tmp_path / "t.txt"), "--edition", name]
    assert main(["check-submission", *words]) == 0
    assert time.process_time() - start < 6
    assert "1022655 rows" in capsys.readouterr().out
