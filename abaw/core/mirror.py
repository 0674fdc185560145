"""A local image of folders of an object store: files are there by name and size, their content while it is needed."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from abaw.core.artifacts import PARTIAL, orphans, storage_errors, temporary_path
from abaw.core.errors import DataError
from abaw.core.object_store import RemoteFile, as_url, download, is_remote, list_files, look_up, upload


@dataclass(frozen=True, slots=True)
class Mirror:
    """Local paths for remote ones.

    What reads and writes files then works on them unchanged: it finds them by name, size and time. Before it reads a
    file, `fetch` copies the content; after it has written some, `push` copies them back; `drop` leaves empty stand-ins.
    Workers on other machines use it as well; they begin with nothing and leave nothing.

    root: a temporary folder of the command, on each machine; None when nothing is remote, and then all paths are left
    unchanged; host: the machine of the command.
    """

    root: Path | None = None
    host: str = ""

    def local(self, path: Path) -> Path:
        """Where a remote path is; a local one is returned unchanged. Raises DataError for a key with the part `..`."""
        if self.root is None or not is_remote(path):
            return path
        scheme, _, key = as_url(path).partition("://")
        if ".." in key.split("/"):
            raise DataError(f"{as_url(path)}: no local file can have this name")
        return self.root / f"{scheme}:" / key

    def url(self, path: Path) -> str | None:
        """The remote file that a path stands for, if it does."""
        if self.root is None or not path.is_relative_to(self.root):
            return None
        return as_url(path.relative_to(self.root))

    def name(self, path: Path) -> str:
        """The same in every run: the URL of a remote file, the absolute path of a local one."""
        return self.url(path) or os.path.abspath(path)

    def with_urls(self, text: str) -> str:
        """A message in which local paths are replaced by their URLs."""
        if self.root is None:
            return text
        for scheme in ("s3", "gs"):
            text = text.replace(f"{self.root}/{scheme}:/", f"{scheme}://")
        return text

    def show(self, url: str) -> list[Path]:
        """Make stand-ins of all objects at or below a URL, and return them."""
        return [self._stand_in(file) for file in list_files(url)]

    def look_up(self, paths: Iterable[Path]) -> None:
        """Make stand-ins of those of these paths that exist remotely."""
        for file in look_up([url for path in paths if (url := self.url(path))]):
            if file is not None:
                self._stand_in(file)

    def fetch(self, paths: Iterable[Path], missing_ok: bool = False) -> None:
        """Copy the content of remote files. Raises DataError for one that cannot be read or is missing."""
        for path in paths:
            url = self.url(path)
            if url is not None and (not missing_ok or look_up([url])[0] is not None):
                with storage_errors(path.parent):
                    path.parent.mkdir(parents=True, exist_ok=True)
                download(url, path)

    def push(self, paths: Iterable[Path]) -> None:
        """Copy files that exist here back. Raises StorageError."""
        for path in paths:
            url = self.url(path)
            if url is not None and path.is_file():
                upload(path, url)

    def drop(self, paths: Iterable[Path]) -> None:
        """Free the disk space of remote files: stand-ins on the machine of the command, nothing on others."""
        for path in paths:
            if self.url(path) is None or not path.is_file():
                continue
            if socket.gethostname() == self.host:
                _empty(path, path.stat().st_size, path.stat().st_mtime_ns)
            else:
                path.unlink(missing_ok=True)

    def _stand_in(self, file: RemoteFile) -> Path:
        path = self.local(Path(file.url))
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _empty(path, file.size, file.mtime_ns)
        return path


NOTHING_REMOTE = Mirror()


def _empty(path: Path, size: int, mtime_ns: int) -> None:
    """A file of this size that takes no disk space."""
    with path.open("wb") as file:
        file.truncate(size)
    os.utime(path, ns=(mtime_ns, mtime_ns))


@contextmanager
def new_mirror() -> Iterator[Mirror]:
    """A mirror without files in the folder for temporary ones. What killed commands left there is removed."""
    folder = Path(tempfile.gettempdir())
    for orphan in orphans(folder, PARTIAL):
        shutil.rmtree(orphan, ignore_errors=True)
    root = temporary_path(folder / "mirror", PARTIAL)
    with storage_errors(root):
        root.mkdir(mode=0o700)
    try:
        yield Mirror(root, socket.gethostname())
    finally:
        shutil.rmtree(root, ignore_errors=True)
