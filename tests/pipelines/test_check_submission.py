from __future__ import annotations

import time
from pathlib import Path

import pytest

from abaw.protocol.editions import edition
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


def test_warnings_alone_are_ok(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path, [f"{location},3" for location in LOCATIONS]) == 0
    out = capsys.readouterr().out
    assert "s.txt:2: warning: one-class: all rows have the same class, 3" in out
    assert "ok, 40 rows as in the template, 1 to look at" in out


def test_faults_are_listed_with_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = good()
    rows[4] = rows[4][:-1] + "9"
    del rows[10]
    assert check(tmp_path, rows, header="image,expression") == 1
    out = capsys.readouterr().out
    assert "s.txt:1: error: edition: wrong edition" in out
    assert "s.txt:6: error: label: expected an integer from 0 to 7, found 9" in out
    assert "s.txt:12: error: missing: row missing: v/00011.jpg" in out
    assert out.splitlines()[-1].endswith("s.txt: 3 faults")


def test_the_list_is_capped_by_kind_unless_all_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row + ".0" for row in good()]
    assert check(tmp_path, rows) == 1
    out = capsys.readouterr().out
    assert out.count("error: float") == 10
    assert "float: 40 lines in all, 10 shown; --all lists them" in out
    assert "40 faults" in out
    assert check(tmp_path, rows, "--all") == 1
    out = capsys.readouterr().out
    assert out.count("error: float") == 40
    assert "--all" not in out


def test_wrong_usage_and_missing_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path, good(), "--edition", "abaw7") == 2
    assert "unknown edition 'abaw7'" in capsys.readouterr().err
    assert main(["check-submission", str(tmp_path / "none.txt"), "--template", str(tmp_path / "t.txt")]) == 1
    assert "none.txt: not readable" in capsys.readouterr().err


def test_a_file_of_the_real_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """228 videos with 1,022,655 rows: the bar of 3 s is for an idle machine, the test leaves room for a busy one."""
    locations = [f"{video}-30-1920x1080/{frame:05d}.jpg" for video in range(228) for frame in range(1, 4487)][
        :1_022_655
    ]
    assert len(locations) == 1_022_655
    for name in ("t.txt", "s.txt"):
        rows = (f"{location},{index % 8}" for index, location in enumerate(locations))
        (tmp_path / name).write_text("\n".join([HEADER, *rows]) + "\n")
    start = time.process_time()
    assert main(["check-submission", str(tmp_path / "s.txt"), "--template", str(tmp_path / "t.txt")]) == 0
    assert time.process_time() - start < 6
    assert "1022655 rows" in capsys.readouterr().out
