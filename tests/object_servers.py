"""Local object stores, for tests: servers that speak the protocols of S3 and of Google Cloud Storage."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from abaw.core import object_store


class ObjectServer:
    """A server in a process of its own. scheme: of its URLs; settings: the environment of commands that use it."""

    scheme: str

    def __init__(self, log: Path) -> None:
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", *self.command(str(port))], stdout=subprocess.DEVNULL, stderr=log.open("w")
        )
        deadline = time.monotonic() + 120
        while not _listens(port):
            assert self._process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)

    def command(self, port: str) -> list[str]:
        raise NotImplementedError

    @property
    def settings(self) -> dict[str, str]:
        raise NotImplementedError

    @property
    def files(self) -> Any:
        """Its file system."""
        raise NotImplementedError

    def end(self) -> None:
        self._process.kill()
        self._process.wait()

    def url(self, key: str) -> str:
        return f"{self.scheme}://{key}"

    def put(self, folder: Path, bucket: str) -> None:
        """Copy the files of a folder into a new bucket."""
        self.files.create_dir(bucket)
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.write(f"{bucket}/{path.relative_to(folder)}", path.read_bytes())

    def write(self, key: str, data: bytes) -> None:
        with self.files.open_output_stream(key) as stream:
            stream.write(data)

    def read(self, folder: str, suffix: str = "") -> dict[str, bytes]:
        """The objects below a prefix whose names have this suffix, by the rest of their names."""
        infos = self._infos(folder)
        found = {}
        for info in infos:
            if info.is_file and info.path.endswith(suffix):
                with self.files.open_input_stream(info.path) as stream:
                    found[info.path.removeprefix(f"{folder}/")] = stream.read()
        return found

    def times(self, folder: str, suffix: str) -> dict[str, int]:
        return {info.path: info.mtime_ns for info in self._infos(folder) if info.path.endswith(suffix)}

    def _infos(self, folder: str) -> Any:
        # Loaded here: few tests need it.
        from pyarrow.fs import FileSelector

        return self.files.get_file_info(FileSelector(folder, recursive=True, allow_not_found=True))


class S3Server(ObjectServer):
    """Moto's server."""

    scheme = "s3"

    @property
    def settings(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": f"http://{self.address}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }

    def command(self, port: str) -> list[str]:
        return ["moto.server", "-H", "127.0.0.1", "-p", port]

    @property
    def files(self) -> Any:
        # Loaded here: few tests need it.
        from pyarrow.fs import S3FileSystem

        return S3FileSystem(endpoint_override=self.address, scheme="http", allow_bucket_creation=True)


class GcsServer(ObjectServer):
    """gcp-storage-emulator."""

    scheme = "gs"

    @property
    def settings(self) -> dict[str, str]:
        return {"STORAGE_EMULATOR_HOST": f"http://{self.address}"}

    def command(self, port: str) -> list[str]:
        return ["gcp_storage_emulator", "start", "--host", "127.0.0.1", "--port", port, "--in-memory", "--quiet"]

    @property
    def files(self) -> Any:
        # Loaded here: few tests need it.
        from pyarrow.fs import GcsFileSystem

        return GcsFileSystem(anonymous=True, endpoint_override=self.address, scheme="http", project_id="test")


SERVERS: dict[str, type[ObjectServer]] = {"s3": S3Server, "gs": GcsServer}


def _listens(port: int) -> bool:
    with closing(socket.socket()) as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def object_server(scheme: str, log: Path) -> Iterator[ObjectServer]:
    """A server, with its settings in the environment, also of commands that tests start."""
    server = SERVERS[scheme](log)
    before = {name: os.environ.get(name) for name in server.settings}
    os.environ.update(server.settings)
    object_store._file_system.cache_clear()  # an earlier server's address, in the same process
    try:
        yield server
    finally:
        server.end()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
