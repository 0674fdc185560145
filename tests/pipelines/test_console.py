"""The first process speaks for all."""

from __future__ import annotations

import io
import os
import sys

import pytest

from pipelines.console import ItemBars, progress, result, say, show, warn


@pytest.mark.parametrize(
    ("ranks", "speaks"),
    [({}, True), ({"LOCAL_RANK": "0", "RANK": "0"}, True), ({"LOCAL_RANK": "1"}, False), ({"RANK": "4"}, False)],
)
def test_one_process_speaks(
    ranks: dict[str, str], speaks: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("LOCAL_RANK", "RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ranks.items():
        monkeypatch.setenv(name, value)
    say("news")
    warn("care")
    result("figures")
    with progress("work") as hook:
        hook(1, 2)
    said = capsys.readouterr()
    assert (said.err, said.out) == (("news\nwarning: care\n", "figures\n") if speaks else ("", ""))


def test_names_reach_the_terminal_with_their_control_characters_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    name = "\x1b]0;owned\x07" + os.fsdecode(b"caf\xe9")
    say(name)
    result(name)
    said = capsys.readouterr()
    assert said.err == said.out == "\\x1b]0;owned\\x07caf\\xe9\n"


def test_characters_that_the_encoding_lacks_are_escaped() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    show("café 表情", stream)
    stream.seek(0)
    assert stream.read() == "caf\\xe9 \\u8868\\u60c5\n"


def test_a_bar_shows_a_name_and_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress("[bold]a[/bold] [/x] \x1b[5m.mp4") as hook:
        hook(1, 2)
    assert "[bold]a[/bold] [/x] \\x1b[5m.mp4" in terminal.getvalue()


def test_a_few_of_many_current_items_are_shown_and_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    bars = ItemBars(20, lambda index: f"video {index}.", "frames")
    for index in range(20):
        bars(index, 1, 10)
    for index in range(12):
        bars.end(index)
    bars.stop()
    drawn = terminal.getvalue()
    assert "video 7." in drawn and "video 8." not in drawn and "12/20" in drawn


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True
