"""How the tests run, and fixtures that they share."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

# Before torch is loaded. Tiny models are faster with one thread, and the workers of pytest-xdist use the other cores.
# Processes that tests start inherit it, so they compute the same.
os.environ["OMP_NUM_THREADS"] = "1"
# A shell starts background jobs with interrupts ignored, and what these start inherits that. Tests send interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest
from hypothesis import settings

from tests.ray_cluster import RayCluster, choose_settings

choose_settings()
# The first call into a large library takes long; that says nothing about the property.
settings.register_profile("default", deadline=None)
settings.load_profile("default")

_SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session", autouse=True)
def no_workers_by_default() -> Iterator[None]:
    """Commands that tests call in their process start workers only where a test asks for some."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("abaw.engine.resources.default_workers", lambda: 1)
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real clips, stills and detector weights next to the checkout; absent on most machines."""
    return _shared("data")


@pytest.fixture(scope="session")
def shared_cases() -> Path:
    """Small inputs that once failed, next to the checkout; absent on most machines."""
    return _shared("cases")


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[RayCluster]:
    """Two nodes with one core each. Starting them takes seconds."""
    if find_spec("ray") is None:
        _missing("Ray is not installed; pip install 'abaw[ray]'")
    cluster = RayCluster()
    yield cluster
    cluster.end()


@pytest.fixture
def deny(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Makes opening a file fail as without permission; taking the permission away would not stop an administrator."""
    really_open = Path.open

    def deny(denied: Path) -> None:
        def open_path(path: Path, *arguments: Any, **options: Any) -> Any:
            if path == denied:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return really_open(path, *arguments, **options)

        monkeypatch.setattr(Path, "open", open_path)

    return deny


def _shared(name: str) -> Path:
    folder = _SHARED / name
    if folder.is_dir():
        return folder
    _missing(f"real test material is missing ({_SHARED.name}/{name} next to the checkout)")


def _missing(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """No workers for tests named by file: starting workers takes longer than most files. Otherwise, one per core."""
    return 0 if all(".py" in argument for argument in config.args) else None
