"""run.sh and .ci/run in a sandbox: a copy of the scripts, a separate PATH, and stand-ins for Python and pip."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ["awk", "bash", "cat", "cut", "df", "dirname", "env", "flock", "mkdir", "mv", "readlink", "rm", "sha256sum"]
TOOLS += ["sh", "sleep"]

# A Python that makes real virtual environments, with this stand-in for pip in them (quick, no network).
PIP = '''
import os, pathlib, sys, time
venv, log = pathlib.Path(sys.prefix), pathlib.Path(os.environ["LOG"])
names = ("PIP_TARGET", "PIP_USER", "PYTHONPATH")
settings = " ".join(f"{name}={os.environ[name]}" for name in names if name in os.environ)
log.open("a").write(f"pip {' '.join(sys.argv[1:])} [{settings}]\\n")
print("Collecting torch\\n  Downloading torch-2.15.0-cp311-linux.whl (539.4 MB)")
print("Collecting six\\n  Downloading six-1.0-py3-none-any.whl (11 kB)")
print("Installing collected packages: a, b", flush=True)
mode = os.environ.get("PIP_STANDIN", "")
if mode == "full":
    sys.exit("OSError: [Errno 28] No space left on device")
if mode == "slow":
    time.sleep(1.5)
if mode == "hang":
    time.sleep(60)
for name in ("abaw", "ruff", "mypy", "mkdocs"):
    script = venv / "bin" / name
    script.write_text(f"""#!/bin/sh
printf '{name}' >> "$LOG"; printf ' <%s>' "$@" >> "$LOG"; printf ' in %s\\\\n' "$PWD" >> "$LOG"
[ "{name} $*" != "$FAIL" ] || exit 3
""")
    script.chmod(0o755)
'''
PYTEST = """
import os, sys
open(os.environ["LOG"], "a").write(f"pytest {sys.argv[1:]} in {os.getcwd()}\\n")
sys.exit(5 if os.environ.get("FAIL") == "pytest" else 0)
"""
GOOD = f"""#!/bin/sh
if [ "$1 $2" = "-m venv" ]; then
    {sys.executable} -m venv --without-pip "$3" || exit 1
    cd "$3"/lib/python*/site-packages || exit 1
    for module in pip pytest; do
        mkdir $module
        cat "$STANDINS/$module.py" > $module/__main__.py
    done
    exit
fi
exec {sys.executable} "$@"
"""
OLD = '#!/bin/sh\ncase "$2" in *print*) echo 3.9 ;; *) exit 1 ;; esac\n'
BARE = '#!/bin/sh\ncase "$2" in *print*) echo 3.12 ;; *ensurepip*) exit 1 ;; *) exit 0 ;; esac\n'
SHIM = "#!/bin/sh\necho 'python3.13: command not found' >&2\nexit 127\n"


@dataclass
class Sandbox:
    """A copy of the scripts in `clone` and everything that they can see. `env` holds further variables."""

    folder: Path
    clone: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def log(self) -> list[str]:
        """What the stand-ins were called with since the last call."""
        path = self.folder / "log"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def python(self, name: str, script: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(script)
        path.chmod(0o755)

    def start(self, *arguments: str, script: str = "run.sh", cwd: Path | None = None) -> subprocess.Popen[str]:
        fixed = {"PATH": str(self.folder / "bin"), "LOG": str(self.folder / "log"), "STANDINS": str(self.folder)}
        return subprocess.Popen(
            [str(self.clone / script), *arguments],
            cwd=cwd or self.folder,
            env=fixed | {"FAIL": "", "HOME": str(self.folder)} | self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, script: str = "run.sh", cwd: Path | None = None) -> tuple[int, str, str]:
        """Exit status, standard output, standard error."""
        process = self.start(*arguments, script=script, cwd=cwd)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    assert not missing, f"run.sh needs {missing}"
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(os.fspath(shutil.which(tool)))
    (tmp_path / "pip.py").write_text(PIP)
    (tmp_path / "pytest.py").write_text(PYTEST)
    clone = tmp_path / "ein Ordner (ä)"
    (clone / ".ci").mkdir(parents=True)
    for name in ("run.sh", ".ci/run", "pyproject.toml"):
        shutil.copy(ROOT / name, clone / name)
    box = Sandbox(tmp_path, clone)
    box.python("python3", GOOD)
    return box


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.02)


def test_set_up_from_nothing(sandbox: Sandbox) -> None:
    status, out, err = sandbox.run("setup")
    assert (status, out) == (0, "")
    assert "takes some minutes and about 7 GB" in err
    assert "torch-2.15.0 (539 MB)" in err
    assert "six" not in err
    assert sandbox.log == [
        f"pip install --progress-bar off --editable {sandbox.clone}[dev] [PIP_USER=0]",
        f"abaw <doctor> <--fix> in {sandbox.folder}",
        f"abaw <doctor> in {sandbox.folder}",
    ]


def _time_of_children() -> float:
    """Processor time in seconds, which other work on the machine does not lengthen."""
    spent = os.times()
    return spent.children_user + spent.children_system


def test_a_second_run_does_nothing(sandbox: Sandbox) -> None:
    sandbox.run("setup")
    assert sandbox.log
    before = _time_of_children()
    assert sandbox.run("setup") == (0, "", "")
    assert _time_of_children() - before < 5
    assert sandbox.log == []


def test_the_demo_is_the_default(sandbox: Sandbox) -> None:
    assert sandbox.run()[0] == 0
    assert sandbox.log[-1] == f"abaw <demo> in {sandbox.folder}"


@pytest.mark.parametrize(("fails", "status"), [("", 0), ("abaw extract a b --out c", 3)], ids=["good", "failing"])
def test_abaw_gets_arguments_folder_and_gives_its_status(sandbox: Sandbox, fails: str, status: int) -> None:
    sandbox.run("setup")
    sandbox.env["FAIL"] = fails
    elsewhere = sandbox.folder / "else where"
    elsewhere.mkdir()
    assert sandbox.run("abaw", "extract", "a b", "--out", "c", cwd=elsewhere)[0] == status
    assert sandbox.log[-1] == f"abaw <extract> <a b> <--out> <c> in {elsewhere}"


@pytest.mark.parametrize(("fails", "status"), [("", 0), ("pytest", 5)], ids=["good", "failing"])
def test_tests_run_in_the_project(sandbox: Sandbox, fails: str, status: int) -> None:
    sandbox.env["FAIL"] = fails
    assert sandbox.run("test", "-k", "a or b")[0] == status
    assert sandbox.log[-1] == f"pytest ['-k', 'a or b'] in {sandbox.clone}"
    assert sandbox.run("test")[0] == status
    assert sandbox.log[-1] == f"pytest ['-m', 'not slow'] in {sandbox.clone}"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["bogus"], 2), ([""], 2), (["setup", "now"], 2), (["--help"], 0), (["-h"], 0)],
)
def test_usage(sandbox: Sandbox, arguments: list[str], status: int) -> None:
    found, out, err = sandbox.run(*arguments)
    assert found == status
    assert "usage: ./run.sh" in (err if status else out)
    assert not (sandbox.clone / ".venv").exists()
    assert sandbox.log == []


@pytest.mark.parametrize(
    ("pythons", "variable", "message"),
    [
        pytest.param({}, "", "Python 3.11 or newer is needed, and none was found; install it (sudo apt ", id="none"),
        pytest.param({"python3": OLD}, "", "is needed, but python3 is Python 3.9; install it (sudo apt ", id="old"),
        pytest.param({"python3": BARE}, "", "sudo apt install python3.12-venv", id="without venv"),
        pytest.param({"python3": OLD, "python3.12": BARE}, "", "install python3.12-venv", id="old, without venv"),
        pytest.param({"python3.13": SHIM}, "", "none was found", id="launcher without its Python"),
        pytest.param({"python3": GOOD}, "nowhere", "PYTHON=nowhere does not run", id="missing PYTHON"),
        pytest.param({"python3": GOOD, "old": OLD}, "old", "but old is Python 3.9", id="PYTHON that is old"),
    ],
)
def test_one_line_says_what_to_install(sandbox: Sandbox, pythons: dict[str, str], variable: str, message: str) -> None:
    (sandbox.folder / "bin" / "python3").unlink()
    for name, script in pythons.items():
        sandbox.python(name, script)
    sandbox.env |= {"PYTHON": variable} if variable else {}
    status, out, err = sandbox.run("setup")
    assert (status, out) == (1, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert not (sandbox.clone / ".venv").exists()


@pytest.mark.parametrize("variable", ["", "mine"])
def test_the_usable_python_is_found_among_others(sandbox: Sandbox, variable: str) -> None:
    for name, script in {"python3.13": SHIM, "python3.12": BARE, "python3.11": OLD, "mine": GOOD}.items():
        sandbox.python(name, script)
    if variable:
        sandbox.env["PYTHON"] = variable
        sandbox.python("python3", OLD)
    assert sandbox.run("setup")[0] == 0


def test_a_full_disk_is_explained_and_the_next_run_starts_over(sandbox: Sandbox) -> None:
    sandbox.env["PIP_STANDIN"] = "full"
    status, _, err = sandbox.run("setup")
    assert status == 1
    assert "OSError: [Errno 28] No space left on device" in err
    assert "free some, or set TMPDIR" in err
    left = sandbox.clone / ".venv" / "left-by-the-first-run"
    left.touch()
    del sandbox.env["PIP_STANDIN"]
    status, _, err = sandbox.run("setup")
    assert status == 0
    assert ".venv was not finished; creating it again" in err
    assert not left.exists()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_killed_set_up_is_redone(sandbox: Sandbox, how: signal.Signals) -> None:
    sandbox.env["PIP_STANDIN"] = "hang"
    process = sandbox.start("setup")
    _wait_for(sandbox.folder / "log")
    os.killpg(process.pid, how)
    process.communicate(timeout=120)
    assert process.returncode != 0
    del sandbox.env["PIP_STANDIN"]
    status, _, err = sandbox.run("setup")
    assert status == 0
    assert "creating it again" in err


def test_new_requirements_complete_the_environment(sandbox: Sandbox) -> None:
    sandbox.run("setup")
    kept = sandbox.clone / ".venv" / "kept"
    kept.touch()
    with (sandbox.clone / "pyproject.toml").open("a") as file:
        file.write("\n# changed\n")
    assert sandbox.log
    assert sandbox.run("setup")[0] == 0
    assert kept.exists()
    assert sandbox.log[0].startswith("pip install")
    assert sandbox.run("setup") == (0, "", "")


def test_an_environment_made_by_hand_is_completed(sandbox: Sandbox) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", sandbox.clone / ".venv"], check=True)
    (package,) = (sandbox.clone / ".venv" / "lib").glob("python*/site-packages")
    (package / "pip").mkdir()
    (package / "pip" / "__main__.py").write_text(PIP)
    kept = sandbox.clone / ".venv" / "kept"
    kept.touch()
    assert sandbox.run("setup")[0] == 0
    assert kept.exists()
    assert sandbox.run("setup") == (0, "", "")


def test_a_moved_clone_is_set_up_again(sandbox: Sandbox) -> None:
    sandbox.run("setup")
    sandbox.clone = sandbox.clone.rename(sandbox.folder / "moved")
    status, _, err = sandbox.run("setup")
    assert status == 0
    assert ".venv was moved; creating it again" in err


@pytest.mark.parametrize("lost", ["bin/python", "pyvenv.cfg"])
def test_an_environment_without_its_python_is_created_again(sandbox: Sandbox, lost: str) -> None:
    sandbox.run("setup")
    (sandbox.clone / ".venv" / lost).unlink()
    status, _, err = sandbox.run("setup")
    assert status == 0
    assert ".venv has no working Python; creating it again" in err


def test_settings_that_lead_astray_are_dropped(sandbox: Sandbox) -> None:
    sandbox.env |= {"PIP_TARGET": "/elsewhere", "PIP_USER": "1", "PYTHONPATH": "/others"}
    status, _, err = sandbox.run("setup")
    assert status == 0
    assert "ignoring PYTHONPATH" in err
    assert sandbox.log[0].endswith("[PIP_USER=0]")


def test_a_link_to_the_script_works(sandbox: Sandbox) -> None:
    (sandbox.folder / "link").symlink_to(sandbox.clone / "run.sh")
    link = Sandbox(sandbox.folder, sandbox.folder)
    assert link.run("setup", script="link")[0] == 0
    assert (sandbox.clone / ".venv" / ".setup-done").exists()


def test_what_the_doctor_finds_does_not_stop_the_set_up(sandbox: Sandbox) -> None:
    sandbox.env["FAIL"] = "abaw doctor"
    status, _, err = sandbox.run("setup")
    assert status == 0
    assert "something is broken on this machine" in err


def test_unsettled_packages_do_stop_it(sandbox: Sandbox) -> None:
    sandbox.env["FAIL"] = "abaw doctor --fix"
    assert sandbox.run("setup")[0] == 1
    assert not (sandbox.clone / ".venv" / ".setup-done").exists()


def test_two_at_once_set_up_once(sandbox: Sandbox) -> None:
    sandbox.env["PIP_STANDIN"] = "slow"
    first = sandbox.start("setup")
    _wait_for(sandbox.folder / "log")
    status, _, err = sandbox.run("setup")
    assert status == 0
    assert "another set-up of this folder is running" in err
    first.communicate(timeout=120)
    assert first.returncode == 0
    assert sum(line.startswith("pip install") for line in sandbox.log) == 1


def test_ci_makes_a_new_environment_and_runs_every_check(sandbox: Sandbox) -> None:
    (sandbox.clone / ".venv").mkdir()
    (sandbox.clone / ".venv" / "left").touch()
    assert sandbox.run(script=".ci/run")[0] == 0
    assert not (sandbox.clone / ".venv" / "left").exists()
    assert [line.rpartition(" in ")[0] for line in sandbox.log[3:]] == [
        "ruff <check> <.>",
        "ruff <format> <--check> <.>",
        "mypy <>",
        "mkdocs <build> <--strict>",
        "pytest ['-m', 'slow or not slow']",
    ]


@pytest.mark.parametrize(
    "fails",
    ["abaw doctor --fix", "ruff check .", "ruff format --check .", "mypy ", "mkdocs build --strict", "pytest"],
)
def test_ci_fails_with_any_check(sandbox: Sandbox, fails: str) -> None:
    sandbox.env["FAIL"] = fails
    assert sandbox.run(script=".ci/run")[0] != 0
