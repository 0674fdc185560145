"""The Dockerfile, as far as it can be checked without Docker: files, targets, extras, users, the syntax of commands."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def instructions() -> list[tuple[str, str]]:
    """(instruction, its arguments), continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", TEXT)
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


def stages() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for name, words in instructions():
        if name == "FROM":
            found[words.split()[-1]] = [(name, words)]
        elif found:
            found[list(found)[-1]].append((name, words))
    return found


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_targets_run_abaw_as_an_ordinary_user(target: str) -> None:
    stage = stages()[target]
    assert stage[0] == ("FROM", f"base AS {target}")
    assert [words for name, words in stage if name == "USER"] == ["abaw"]
    assert stage[-1] == ("ENTRYPOINT", '["abaw"]')
    assert "useradd" in dict(stages()["base"])["RUN"]


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [word for name, words in stages()["wheel"] if name == "COPY" for word in words.split()[:-1]]
    assert set(copied) == kept and all((ROOT / name).exists() for name in copied)


def test_everything_that_the_wheel_needs_is_copied() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    copied = dict.fromkeys(word for name, words in stages()["wheel"] if name == "COPY" for word in words.split()[:-1])
    assert packages <= set(copied) and {"setup.py", "README.md", *project["project"]["license-files"]} <= set(copied)


def test_extras_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    asked = re.findall(r"whl\)\[([\w,]+)\]", TEXT)
    assert asked and all(name in extras for words in asked for name in words.split(","))


def test_the_shell_understands_every_line() -> None:
    for name, words in instructions():
        if name == "RUN":
            subprocess.run(["sh", "-n", "-c", words], check=True)
