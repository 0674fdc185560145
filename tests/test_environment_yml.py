from __future__ import annotations

import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]


def test_conda_installs_the_project_and_names_no_package_twice() -> None:
    """environment.yml only brings Python and pip; everything else comes from pyproject.toml, as with run.sh."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["name"] == project["name"]
    assert environment["channels"] == ["conda-forge"]
    assert environment["dependencies"] == [f"python{project['requires-python']}", "pip", {"pip": ["-e .[dev]"]}]
    assert "dev" in project["optional-dependencies"]
