from __future__ import annotations

import time
from pathlib import Path

import pytest

from abaw.core.errors import ConfigError
from abaw.core.yaml_file import read_yaml
from abaw.importing.descriptor import load_descriptor
from pipelines.recipe_files import config_path

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGED = "a: &a {x: 1, y: 2}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 10)}]}}\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
HOSTILE = {
    "not UTF-8": b"role: \xff",
    "aliases": LAUGHS.encode(),
    "merged": MERGED.encode(),
    "recursion": b"a: &a [*a]",
    "deep": b"[" * 20_000,
    "NUL": b'out: "a\\0b"',
    "long number": b"a: " + b"1" * 5000,
    "no date": b"a: 2001-99-99",
    "tag": b"a: !!python/object/apply:os.system [true]",
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_one_line_and_at_once(tmp_path: Path, name: str) -> None:
    path = tmp_path / "set.yaml"
    path.write_bytes(HOSTILE[name])
    start = time.process_time()
    for read in (lambda: load_descriptor(str(path)), lambda: config_path(str(path))):
        with pytest.raises(ConfigError, match=r"set\.yaml: not readable as (a descriptor|settings)") as caught:
            read()
        assert "\n" not in str(caught.value)
    assert time.process_time() - start < 5


def test_aliases_in_moderation_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: &a [1, 2]\nb: [*a, *a]\nc: {<<: &m {x: 1}, y: *m}\n")
    assert read_yaml(path, "not readable") == {"a": [1, 2], "b": [[1, 2], [1, 2]], "c": {"x": 1, "y": {"x": 1}}}
