"""A local object store, for tests: moto's server, which speaks the protocol of S3."""

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


class S3Server:
    """A server in a process of its own; its address is in the environment, also of commands that tests start."""

    def __init__(self, log: Path) -> None:
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.settings = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log.open("w"))
        deadline = time.monotonic() + 120
        while not _listens(port):
            assert self._process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def files(self) -> Any:
        """Its file system."""
        # Loaded here: few tests need it.
        from pyarrow.fs import S3FileSystem

        address = self.settings["AWS_ENDPOINT_URL"].removeprefix("http://")
        return S3FileSystem(endpoint_override=address, scheme="http", allow_bucket_creation=True)

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


def _listens(port: int) -> bool:
    with closing(socket.socket()) as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def s3_server(log: Path) -> Iterator[S3Server]:
    server = S3Server(log)
    before = {name: os.environ.get(name) for name in server.settings}
    os.environ.update(server.settings)
    try:
        yield server
    finally:
        server.end()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
