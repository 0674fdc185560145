"""The documentation site: it builds without a warning, shows every command, and loads nothing from another host."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipelines.cli import STAGES

ROOT = Path(__file__).parents[1]
LOADED = re.compile(
    r"<(?:script|img|link|iframe|source)\b[^>]*?\b(?:src|href)=[\"']?(?P<address>[^\"' >]+)", re.IGNORECASE
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    words = ["build", "--strict", "--site-dir", str(out)]  # --quiet would hide the warnings from --strict
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", *words], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.mark.slow
def test_every_command_is_described(site: Path) -> None:
    page = (site / "reference/commands/index.html").read_text(encoding="utf-8")
    for name in STAGES:
        assert f'id="abaw-{name}"' in page and f"usage: abaw {name}" in page


@pytest.mark.slow
def test_pages_load_nothing_from_another_host(site: Path) -> None:
    pages = [page for page in site.rglob("*.html") if page.name != "404.html"]
    assert len(pages) > 30
    for page in pages:
        addresses = LOADED.findall(page.read_text(encoding="utf-8"))
        assert addresses and not [address for address in addresses if "//" in address], page


def test_citation_file_has_the_version_and_the_papers() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{cited["version"]}"' in project
    papers = {entry["identifiers"][0]["value"] for entry in cited["references"]}
    assert papers == {"arXiv:2403.11942", "arXiv:2404.15041", "arXiv:2303.09034", "arXiv:2601.05556"}
