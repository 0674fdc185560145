"""The first process speaks for all."""

from __future__ import annotations

import pytest

from pipelines.console import progress, result, say, warn


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
