"""Object stores, `s3://` and `gs://`, through the file systems of pyarrow."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from abaw.core.artifacts import StorageError
from abaw.core.errors import ConfigError, DataError
from abaw.core.text import one_line

_URL = re.compile(r"(s3|gs):(?:$|/+(.*))", re.DOTALL)
"""With fewer slashes as well: `Path("s3://bucket")` is `s3:/bucket`."""
_ATTEMPTS = 4
_SECONDS_TO_CONNECT = 10
_PATIENCE = timedelta(seconds=30)
_NO_BUCKET = "no such bucket; check its name"
_REASONS = (
    (("NO_SUCH_BUCKET", "NoSuchBucket", "bucket does not exist"), _NO_BUCKET),
    (
        ("ACCESS_DENIED", "HTTP status 403", "INVALID_ACCESS_KEY", "SIGNATURE", "PERMISSION_DENIED", "UNAUTHENTICATED"),
        "access denied; check the credentials (for S3 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or the "
        "machine's role, for gs:// GOOGLE_APPLICATION_CREDENTIALS) and what they may do in this bucket",
    ),
    (
        ("NETWORK_CONNECTION", "curlCode", "UNAVAILABLE"),
        "the server cannot be reached; check the network, AWS_ENDPOINT_URL for a server other than Amazon's, and for "
        "gs:// that there are credentials (GOOGLE_APPLICATION_CREDENTIALS)",
    ),
)
"""Parts of a library's message -> what they mean and what to do."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """An object. size: in bytes; mtime_ns: when it was written."""

    url: str
    size: int
    mtime_ns: int


def is_remote(path: str | Path) -> bool:
    """Whether a path names an object store."""
    return _URL.match(str(path)) is not None


def as_url(path: str | Path) -> str:
    """`s3://bucket/key`, also of a Path, which has one slash less."""
    found = _URL.fullmatch(str(path))
    if found is None:
        raise ValueError(f"{path} is not remote")
    return f"{found[1]}://{(found[2] or '').strip('/')}"


def list_files(url: str) -> list[RemoteFile]:
    """The objects at or below a URL, in order of their names; empty if there is none.

    Raises DataError when the store cannot be listed, ConfigError when this pyarrow cannot read such stores.
    """
    system, key = _open(url)
    # Loaded on use: only remote paths need it.
    from pyarrow.fs import FileSelector

    with _errors(url):
        here = system.get_file_info(key)
        below = FileSelector(key, allow_not_found=True, recursive=True)
        found = [info for info in ([here] if here.is_file else system.get_file_info(below)) if info.is_file]
    if not found and not _has_bucket(system, key.partition("/")[0]):
        raise DataError(f"{url}: {_NO_BUCKET}")
    scheme = url.partition("://")[0]
    return sorted((_facts(f"{scheme}://{info.path}", info) for info in found), key=lambda file: file.url)


def _has_bucket(system: Any, bucket: str) -> bool:
    # Loaded on use: only remote paths need it.
    from pyarrow.fs import FileType

    try:
        return bool(system.get_file_info(bucket).type != FileType.NotFound)
    except OSError:  # who may use a part of a bucket need not be allowed to ask for it
        return True


def look_up(urls: Sequence[str]) -> list[RemoteFile | None]:
    """What is at each URL, None for nothing. Raises DataError when the store cannot be read."""
    found: list[RemoteFile | None] = []
    for url in urls:
        system, key = _open(url)
        with _errors(url):
            info = system.get_file_info(key)
        found.append(_facts(url, info) if info.is_file else None)
    return found


def download(url: str, target: Path) -> None:
    """Copy an object into a local file. Raises DataError when it cannot be read, StorageError for the local disk."""
    system, key = _open(url)
    # Loaded on use: only remote paths need it.
    from pyarrow.fs import LocalFileSystem, copy_files

    target.parent.mkdir(parents=True, exist_ok=True)
    with _errors(url):
        copy_files(key, os.fspath(target), source_filesystem=system, destination_filesystem=LocalFileSystem())


def upload(source: Path, url: str) -> RemoteFile:
    """Copy a local file into an object, which is there as a whole or not at all; returns what is there now.

    Raises StorageError.
    """
    system, key = _open(url)
    # Loaded on use: only remote paths need it.
    from pyarrow.fs import LocalFileSystem, copy_files

    with _errors(url, StorageError, "cannot write: "):
        copy_files(os.fspath(source), key, source_filesystem=LocalFileSystem(), destination_filesystem=system)
    made = look_up([url])[0]
    if made is None or made.size != source.stat().st_size:
        raise StorageError(f"{url}: cannot write: {made.size if made else 'no'} bytes have arrived; try again")
    return made


def _facts(url: str, info: Any) -> RemoteFile:
    return RemoteFile(url, int(info.size), int(info.mtime_ns or 0))


def _open(url: str) -> tuple[Any, str]:
    """The file system of a URL, and bucket and key in it."""
    scheme, _, key = url.partition("://")
    bucket = key.partition("/")[0]
    if not bucket:
        raise ConfigError(f"{url}: expected {scheme}://BUCKET/NAME")
    with _errors(url):
        return _file_system(scheme, bucket), key


@lru_cache
def _file_system(scheme: str, bucket: str) -> Any:
    # Loaded on use: only remote paths need it.
    import pyarrow.fs as systems

    try:
        if scheme == "gs":
            server = os.environ.get("STORAGE_EMULATOR_HOST", "")
            transport, _, host = server.rstrip("/").rpartition("://")
            local = {"anonymous": True, "endpoint_override": host, "scheme": transport or "http"} if host else {}
            return systems.GcsFileSystem(retry_time_limit=_PATIENCE, **local)
        server = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        transport, _, host = server.rstrip("/").rpartition("://")
        return systems.S3FileSystem(
            region=_region(systems, bucket, server),
            endpoint_override=host or None,
            scheme=transport or None,
            connect_timeout=_SECONDS_TO_CONNECT,
            retry_strategy=systems.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
        )
    except (AttributeError, ImportError) as error:  # built without it, as `pyarrow-core` of conda
        raise ConfigError(
            f"{scheme}://{bucket}: this pyarrow was built without {scheme}://; `pip install --force-reinstall pyarrow`"
        ) from error


def _region(systems: Any, bucket: str, server: str) -> str | None:
    """The region of a bucket, which Amazon's servers tell and others do not need."""
    given = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if given or server:
        return given
    region: str = systems.resolve_s3_region(bucket)
    return region


@contextmanager
def _errors(url: str, kind: type[DataError] = DataError, what: str = "") -> Iterator[None]:
    """Turn an error of the library into one that names the URL, the reason and what to do."""
    # Loaded on use: only remote paths need it.
    from pyarrow import ArrowException

    try:
        yield
    except (OSError, ArrowException) as error:
        raise kind(f"{url}: {what}{_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such object"
    text = str(error)
    return next((reason for signs, reason in _REASONS if any(sign in text for sign in signs)), one_line(error))
