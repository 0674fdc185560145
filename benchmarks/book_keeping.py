"""What the book-keeping of a batch costs per item, and how long it takes to resume a folder of very many stores.

    python benchmarks/book_keeping.py [--items 1000000] [--stores 100000] [--folder DIR]

Items that do nothing: a list file of as many videos is read, and each goes through a command's loop with its progress
and messages, in this process and through two local workers. Printed: milliseconds per item (at most 1), and the memory
of this process when a tenth and when all of the items are done (it must not grow).

Stores: `abaw features` on as many tiny faces stores, all of whose features exist: listing them, resuming by opening
each store (as after the record is lost), and resuming by the record (at most 60 s together with the start).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from abaw.core.progress import Progress
from abaw.engine.engine import Engine
from abaw.engine.local import LocalEngine
from abaw.engine.serial import SERIAL
from abaw.protocol.listed_videos import ListedVideo, read_list
from abaw.stores.arrow import find_stores
from abaw.stores.folders import StoreFolders
from pipelines.items import run_items

MILLISECONDS = 1.0
SECONDS = 60.0
MEGABYTES = 20.0


@dataclass(frozen=True)
class Nothing:
    """Done at once."""

    def set_up(self, threads: int | None) -> Callable[[ListedVideo, Progress], str]:
        return lambda video, progress: "1 frames"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--stores", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="for temporary files")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        fine = [
            *(_items(arguments.items, engine, Path(name)) for engine in (SERIAL, LocalEngine([None] * 2, threads=1))),
            _stores(arguments.stores, Path(name)),
        ]
    return 0 if all(fine) else 1


def _items(count: int, engine: Engine, folder: Path) -> bool:
    listed = folder / "list.txt"
    listed.write_text("".join(f"videos/{number % 1000:03d}/{number:07d}.mp4\n" for number in range(count)))
    start = time.monotonic()
    videos = read_list(listed)
    read = time.monotonic() - start
    memory: list[float] = []

    def name(video: ListedVideo) -> str:
        return video.path.name

    def finished(video: ListedVideo) -> None:
        nonlocal done
        done += 1
        if done in (count // 10, count):
            memory.append(_megabytes())

    done = 0
    start = time.monotonic()
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
        run_items(videos, name, Nothing(), folder, engine, finished=finished)
    each = 1000 * (time.monotonic() - start) / count
    kind = type(engine).__name__
    print(f"{kind}: {count} items: list read in {read:.1f} s; {each:.3f} ms per item")
    print(f"{kind}: memory {memory[0]:.0f} MB after a tenth, {memory[1]:.0f} MB after all", flush=True)
    return each <= MILLISECONDS and memory[1] - memory[0] <= MEGABYTES


def _megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _stores(count: int, folder: Path) -> bool:
    words = ["features", "--checkpoint", "builtin", "--accelerator", "cpu"]
    one = _tiny_store(folder / "one" / "a.arrow")
    _run([*words, "--faces", str(one), "--out", str(folder / "one_out")])
    for source, out in ((one, folder / "faces"), (folder / "one_out" / "a.arrow", folder / "features")):
        places = StoreFolders(out, count)
        for number in range(count):
            place = places.path(f"{number:07d}.arrow")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, place)
    start = time.monotonic()
    found = len(find_stores([folder / "faces"]))
    print(f"{found} stores listed in {time.monotonic() - start:.2f} s")
    all_stores = [*words, "--faces", str(folder / "faces"), "--out", str(folder / "features")]
    print(f"resumed by opening each: {_run(all_stores):.1f} s", flush=True)
    recorded = _run(all_stores)
    print(f"resumed by the record: {recorded:.1f} s", flush=True)
    return found == count and recorded <= SECONDS


def _tiny_store(path: Path) -> Path:
    """A faces store of one frame without a face."""
    # Loaded here: the first part needs none of it.
    import pyarrow as pa

    from abaw.stores.faces import VIDEO_SCHEMA, write_video_faces

    rows = {"frame": pa.array(np.array([1], np.int32))}
    columns = [rows.get(field.name, pa.nulls(1, field.type)) for field in VIDEO_SCHEMA]
    write_video_faces(path, [pa.record_batch(columns, schema=VIDEO_SCHEMA)], {"fps": 25.0})
    return path


def _run(words: list[str]) -> float:
    """Seconds that a command takes from start to end."""
    start = time.monotonic()
    subprocess.run([sys.executable, "-m", "pipelines.cli", *words], check=True, stderr=subprocess.DEVNULL)
    return time.monotonic() - start


if __name__ == "__main__":
    sys.exit(main())
