"""One owner per run folder: two runs that write into one folder would mix their metrics and checkpoints."""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from abaw.core.artifacts import process_lives, storage_errors
from abaw.core.errors import DataError

LOCK: Final = "run.lock"
_BEAT_S = 10.0
_DEAD_AFTER_S = 90.0
"""An owner on another machine that has not renewed its lock for so long is dead."""
_WATCH_S = 1.0


class RunLockedError(DataError):
    """Another process owns the run folder."""


class RunLock:
    """The file `run.lock` in a run folder: who owns it (machine, process), renewed every few seconds by a thread.

    The file is made as a hard link, which only one process can make, on local disks and on NFS alike. An owner on this
    machine is dead when its process is; one on another machine when its file has not been renewed for 90 s by the clock
    of the file system, which is waited for: a run whose machine has just died goes on elsewhere. A dead owner's lock is
    taken over. Raises RunLockedError, which names the owner, for one that lives: within seconds, once it is seen to
    renew its lock.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK
        self._token = secrets.token_hex(8)
        self._released = threading.Event()
        self._lost = False
        with storage_errors(self._path):
            self._acquire()
        threading.Thread(target=self._renew, name="abaw-run-lock", daemon=True).start()

    def require_held(self) -> None:
        """Raise RunLockedError if another process took the folder over, as after a long suspension of this one."""
        if self._lost:
            raise RunLockedError(
                f"{self._path.parent}: another process took this run over while this one stood still; only one of them "
                "may write here, so this one ends"
            )

    def release(self) -> None:
        """Give the folder up; calling it again does nothing."""
        if not self._released.is_set():
            self._released.set()
            if self._owner().get("token") == self._token:
                self._path.unlink(missing_ok=True)

    def _acquire(self) -> None:
        if self._create(self._path):
            return
        owner = self._owner()
        if self._lives(owner) and not self._is_mine(owner):
            process, host, since = (owner.get(key, "?") for key in ("pid", "host", "since"))
            raise RunLockedError(
                f"{self._path.parent}: process {process} on {host} is writing this run (since {since}); wait until it "
                "ends, or choose another --out"
            )
        if not self._create(self._path):  # it may have been released meanwhile
            self._take_over(owner)

    def _take_over(self, dead: dict[str, Any]) -> None:
        """Replace a dead owner's lock. A second file decides between several that try it at once."""
        gate = self._path.with_suffix(".takeover")
        if gate.exists() and self._age_s(gate) > _DEAD_AFTER_S:
            gate.unlink(missing_ok=True)
        if not self._create(gate):
            raise RunLockedError(f"{self._path.parent}: another process is taking this run over; try again")
        try:
            if self._owner() != dead:
                raise RunLockedError(f"{self._path.parent}: another process took this run over; wait until it ends")
            os.replace(gate, self._path)
        finally:
            gate.unlink(missing_ok=True)

    def _create(self, path: Path) -> bool:
        """Write this process's lock to a new file; False if the file exists."""
        owner = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": _started(os.getpid()),
            "since": time.strftime("%Y-%m-%d %H:%M:%S"),
            "token": self._token,
        }
        written = self._path.with_name(f".{LOCK}.{self._token}")
        written.write_text(json.dumps(owner), encoding="utf-8")
        try:
            os.link(written, path)  # exclusive, and the file is complete from the start
        except FileExistsError:
            return False
        finally:
            written.unlink()
        return True

    def _owner(self) -> dict[str, Any]:
        """What the lock says; empty for one that is missing or half-written."""
        with suppress(OSError, ValueError):
            found = json.loads(self._path.read_text(encoding="utf-8"))
            if isinstance(found, dict):
                return found
        return {}

    def _lives(self, owner: dict[str, Any]) -> bool:
        if owner.get("host") == socket.gethostname():
            pid = owner.get("pid")
            return isinstance(pid, int) and process_lives(pid) and owner.get("started") == _started(pid)
        return self._is_renewed()

    def _is_renewed(self) -> bool:
        """Watch the lock until its owner renews it, or it is too old or gone."""
        first = age = self._age_s(self._path)
        while first <= age < _DEAD_AFTER_S:
            time.sleep(_WATCH_S)
            first, age = age, self._age_s(self._path)
        return age < first

    @staticmethod
    def _is_mine(owner: dict[str, Any]) -> bool:
        """True for an earlier run of this process, which may not write any more once its folder is opened again."""
        return (owner.get("host"), owner.get("pid")) == (socket.gethostname(), os.getpid())

    def _age_s(self, path: Path) -> float:
        """Seconds since a file was renewed, by the clock of the file system, whatever those of the machines say."""
        probe = self._path.with_name(f".{LOCK}.{self._token}")
        probe.touch()
        now = probe.stat().st_mtime
        probe.unlink()
        with suppress(FileNotFoundError):
            return now - path.stat().st_mtime
        return float("inf")

    def _renew(self) -> None:
        while not self._released.wait(_BEAT_S):
            if self._owner().get("token") != self._token:
                self._lost = not self._released.is_set()
                return
            with suppress(OSError):
                os.utime(self._path)


def _started(pid: int) -> str:
    """When a process of this machine began, to distinguish it from another one with the same number; "" if unknown."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
