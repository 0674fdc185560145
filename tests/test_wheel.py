"""The wheel: what is in it, what an index shows of it, and that it works outside a checkout."""

from __future__ import annotations

import email
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from email.message import Message
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from tests.video.clips import portraits, write_clip

ROOT = Path(__file__).parents[1]
README = """# Name

![A figure](docs/figure.png)

*Its caption,
in two lines.*

See [the page](docs/page.md#part), [the paper](https://arxiv.org/abs/1) and ![inline](docs/b.png).
"""


def index_readme(readme: str, repository: str | None) -> str:
    spec = spec_from_file_location("abaw_setup", ROOT / "setup.py")
    assert spec is not None and spec.loader is not None
    module: Any = module_from_spec(spec)
    spec.loader.exec_module(module)
    made: str = module.index_readme(readme, repository)
    return made


def test_without_a_repository_the_readme_of_an_index_has_no_links_into_it() -> None:
    made = index_readme(README.replace(" and ![inline](docs/b.png)", ""), None)
    assert made == "# Name\n\nSee the page, [the paper](https://arxiv.org/abs/1).\n"
    links = re.findall(r"\]\(([^)]*)\)", index_readme((ROOT / "README.md").read_text(encoding="utf-8"), None))
    assert links and all(link.startswith("https://") for link in links)


def test_with_a_repository_pictures_and_links_are_absolute() -> None:
    made = index_readme(README, "https://example.org/abaw/")
    assert "![A figure](https://example.org/abaw/raw/HEAD/docs/figure.png)" in made
    assert "![inline](https://example.org/abaw/raw/HEAD/docs/b.png)" in made
    assert "[the page](https://example.org/abaw/blob/HEAD/docs/page.md#part)" in made
    assert "[the paper](https://arxiv.org/abs/1)" in made and "Its caption" in made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the tracked files: building writes next to them."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    for name in tracked.decode().rstrip("\0").split("\0"):
        if not name.startswith("tests/") and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    words = ["wheel", "--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(out), str(source)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the unpacked wheel."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.mark.slow
def test_the_wheel_has_all_data(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    data = [
        path.relative_to(ROOT).as_posix()
        for pattern in (
            *("pipelines/recipes/**/*.yaml", "data_manifests/**/*.yaml", "abaw/weights/*/*"),
            *("abaw/**/assets/*", "abaw/**/*.py", "pipelines/**/*.py"),
        )
        for path in ROOT.glob(pattern)
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert len(data) > 100 and {"pipelines/recipes/bench/ferplus.yaml", "abaw/weights/static/spec.json"} <= {*data}
    assert sorted({*data} - names) == []
    assert not any(name.startswith(("tests/", "setup")) for name in names)


@pytest.mark.slow
def test_what_an_index_shows(installed: Path) -> None:
    (info,) = installed.glob("*.dist-info")
    metadata: Message = email.message_from_bytes((info / "METADATA").read_bytes())
    assert metadata["Author"] == "The abaw authors"
    assert "Paper, https://arxiv.org/abs/2403.11942" in metadata.get_all("Project-URL", [])
    assert "Topic :: Multimedia :: Video" in metadata.get_all("Classifier", []) and "ABAW" in metadata["Keywords"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    text = str(metadata.get_payload())
    assert text.startswith("# abaw") and "](docs/" not in text


@pytest.mark.slow
def test_it_works_outside_a_checkout(installed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    write_clip(tmp_path / "clip.mp4", portraits(5))
    commands = {
        ("--help",): "abaw COMMAND",
        ("demo", "--help"): "--seed",
        ("train-static", "--config", "static_affwild2", "--labelled", "a", "--out", "b", "--print_config"): "resnet18",
        ("bench", "ssl", "--config", "bench/ferplus", "--help"): "--only",
        ("predict-video", "clip.mp4", "--out", "out"): "",
    }
    for words, expected in commands.items():
        command = [sys.executable, "-m", "abaw", *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout
    lines = (tmp_path / "out" / "clip.csv").read_text().splitlines()
    assert len(lines) == 6


@pytest.mark.parametrize("hidden", ["pipelines", "data_manifests"])
def test_another_package_of_the_same_name_is_reported(tmp_path: Path, hidden: str) -> None:
    other = tmp_path / hidden
    other.mkdir()
    (other / "__init__.py").touch()
    # -m puts the current folder first, then comes PYTHONPATH.
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "abaw", "--version"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert f"'{hidden}'" in done.stderr and str(other) in done.stderr
    elsewhere = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert elsewhere.returncode == 0 and elsewhere.stdout.startswith("abaw ")


NOTEBOOK = """
import json
import sys

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in json.load(sys.stdin)])
# Sockets in the file system: without a network there is not even a loopback address.
NotebookClient(notebook, km=AsyncKernelManager(transport="ipc", kernel_name="python3"), timeout=300).execute()
print(json.dumps([[output.get("data", output) for output in cell.outputs] for cell in notebook.cells]))
"""
CUT_OFF = """
import socket

import pipelines

try:
    socket.create_connection(("192.0.2.1", 80), timeout=5)
except OSError as error:
    print(error.strerror)
print(abaw.__file__, pipelines.__file__)
"""


@pytest.fixture(scope="module")
def fresh_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment with the wheel. The packages it depends on are those that are installed here."""
    environment = tmp_path_factory.mktemp("fresh") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    words = ["--python", str(python), "install", "--no-index", "--no-deps", "--quiet", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    # The line adds the packages, but not this checkout: nested .pth files are not read.
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    return python


@pytest.mark.slow
def test_a_notebook_runs_in_a_fresh_environment_without_a_network(fresh_python: Path, tmp_path: Path) -> None:
    unshare = ["unshare", "--map-root-user", "--net"]
    if shutil.which("unshare") is None or subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("this machine does not let a process cut itself off from the network (unshare --net)")
    document = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    lines = re.findall(r"```python\n(.*?)```", document, re.DOTALL)[0].splitlines()
    assert lines[0] == "import abaw" and len(lines) == 6
    write_clip(tmp_path / "clip.mp4", portraits(5))
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "JUPYTER"))}
    environment |= {"HOME": str(tmp_path / "home"), "IPYTHONDIR": str(tmp_path / "ipython")}
    done = subprocess.run(
        [*unshare, str(fresh_python), "-c", NOTEBOOK],
        cwd=tmp_path,
        env=environment,
        input=json.dumps(["\n".join(lines), "result", CUT_OFF]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, shown, cut_off = json.loads(done.stdout)
    assert len(first) == 1 and "out" in first[0]["text/plain"]  # `save` returns the folder; nothing else is shown
    assert shown[0]["text/html"].startswith("<svg")
    unreachable, places = cut_off[0]["text"].splitlines()
    assert unreachable == "Network is unreachable"
    assert all(place.startswith(str(fresh_python.parents[1])) for place in places.split())
    assert len((tmp_path / "out" / "clip.csv").read_text().splitlines()) == 6
