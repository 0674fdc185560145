"""Time and memory of `abaw import-features` for 100 videos of 5,000 frames with 768 numbers each.

    python benchmarks/import_features.py [--layouts npy …] [--videos 100] [--frames 5000] [--width 768] [--folder DIR]

Per layout, the script writes random 32-bit numbers, runs the command in a separate process on a tenth of the videos and
on all of them, and prints seconds elapsed and of processor time for all, and peak memory for both. Limits for 100
videos: 60 s of processor time, which a busy machine affects less than the elapsed time, and 100 MB more than for ten.
Layouts: the formats with one file per video, and `one_…` with all videos in one file. Pickles are read whole, as their
format requires, so `one_pkl` needs the memory of its file.
"""

from __future__ import annotations

import argparse
import itertools
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from abaw.stores.faces import VIDEO_SCHEMA, write_video_faces

SECONDS = 60.0
MEGABYTES = 100.0

# The kernel reports for an ended process at least the peak of its parent, so the process reads its own peak.
_MEASURED = """
import re, sys, time
from pipelines.cli import main
status = main(sys.argv[1:])
print(time.process_time())
print(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
sys.exit(status)
"""

Videos = Iterator[tuple[str, np.ndarray]]


def made(videos: int, frames: int, width: int) -> Videos:
    for index in range(videos):
        yield f"video{index:03d}", np.random.default_rng(index).standard_normal((frames, width), dtype=np.float32)


def table(values: np.ndarray, wide: bool, name: str = "") -> pa.Table:
    frames, width = values.shape
    columns: dict[str, Any] = {"video": [name] * frames} if name else {}
    columns["frame"] = np.arange(1, frames + 1, dtype=np.int32)
    if wide:
        columns |= {f"f{index}": values[:, index] for index in range(width)}
    else:
        columns["feature"] = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), width)
    return pa.table(columns)


def per_video(suffix: str, write: Callable[[Path, np.ndarray], object]) -> Callable[[Path, Videos], None]:
    def write_all(folder: Path, videos: Videos) -> None:
        for name, values in videos:
            write(folder / f"{name}{suffix}", values)

    return write_all


def write_arrow(path: Path, values: np.ndarray) -> None:
    content = table(values, wide=False)
    with pa.ipc.new_file(str(path), content.schema) as writer:
        writer.write_table(content)


def write_hdf5(path: Path, values: np.ndarray) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file.create_dataset("features", data=values)


def write_tensor(path: Path, values: np.ndarray) -> None:
    import torch

    torch.save(torch.from_numpy(values), path)


def one_npz(folder: Path, videos: Videos) -> None:
    import zipfile

    with zipfile.ZipFile(folder / "all.npz", "w") as archive:
        for name, values in videos:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, values)


def one_hdf5(folder: Path, videos: Videos) -> None:
    import h5py

    with h5py.File(folder / "all.h5", "w") as file:
        for name, values in videos:
            file.create_dataset(name, data=values)


def one_table(folder: Path, videos: Videos, kind: str) -> None:
    tables = (table(values, kind == "csv", name) for name, values in videos)
    first = next(tables)
    open_writer = {"parquet": pq.ParquetWriter, "csv": pa_csv.CSVWriter}[kind]
    with open_writer(folder / f"all.{kind}", first.schema) as writer:
        for content in itertools.chain([first], tables):
            writer.write_table(content)


def one_pickle(folder: Path, videos: Videos) -> None:
    """A vector per frame, by `video/00001.jpg`."""
    flat = {f"{name}/{row + 1:05d}.jpg": vector for name, values in videos for row, vector in enumerate(values)}
    with (folder / "all.pkl").open("wb") as file:
        pickle.dump(flat, file)


LAYOUTS: dict[str, Callable[[Path, Videos], None]] = {
    "npy": per_video(".npy", np.save),
    "npz": per_video(".npz", np.savez),
    "parquet": per_video(".parquet", lambda path, values: pq.write_table(table(values, wide=False), path)),
    "csv": per_video(".csv", lambda path, values: pa_csv.write_csv(table(values, wide=True), path)),
    "arrow": per_video(".arrow", write_arrow),
    "hdf5": per_video(".h5", write_hdf5),
    "pt": per_video(".pt", write_tensor),
    "pkl": per_video(".pkl", lambda path, values: path.write_bytes(pickle.dumps(values))),
    "one_npz": one_npz,
    "one_hdf5": one_hdf5,
    "one_parquet": lambda folder, videos: one_table(folder, videos, "parquet"),
    "one_csv": lambda folder, videos: one_table(folder, videos, "csv"),
    "one_pkl": one_pickle,
}


def write_faces(folder: Path, videos: int, frames: int) -> None:
    times = np.arange(frames) / 25
    nulls = [pa.nulls(frames, field.type) for field in list(VIDEO_SCHEMA)[2:]]
    columns = [pa.array(range(1, frames + 1), pa.int32()), pa.array(times), *nulls]
    for index in range(videos):
        batch = pa.record_batch(columns, schema=VIDEO_SCHEMA)
        write_video_faces(folder / f"video{index:03d}.arrow", [batch], {"fps": 25.0, "fingerprint": str(index)})


def measure(files: Path, faces: Path, out: Path) -> tuple[float, float, float]:
    """Seconds elapsed, seconds of processor time, and megabytes of the command."""
    words = ["import-features", str(files), "--faces", str(faces), "--name", "random", "--first_frame", "1"]
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", _MEASURED, *words, "--out", str(out)], capture_output=True)
    seconds = time.monotonic() - start
    if done.returncode:
        sys.exit(done.stderr.decode())
    *_, busy, peak = done.stdout.split()
    return seconds, float(busy), int(peak) / 1024


def run(root: Path, layouts: list[str], videos: int, frames: int, width: int) -> int:
    few, missed = max(1, videos // 10), 0
    for number in (few, videos):
        write_faces(root / f"faces{number}", number, frames)
    print(f"{videos} videos of {frames} frames with {width} numbers; memory for {few} and for all of them")
    print(f"{'layout':<12} {'GB':>4} {'elapsed s':>10} {'CPU s':>6} {'MB':>11}")
    for layout in layouts:
        measured = []
        for number in (few, videos):
            files, out = root / "files", root / "out"
            files.mkdir()
            LAYOUTS[layout](files, made(number, frames, width))
            size = sum(file.stat().st_size for file in files.iterdir()) / 1e9
            measured.append(measure(files, root / f"faces{number}", out))
            shutil.rmtree(files)
            shutil.rmtree(out)
        (_, _, before), (seconds, busy, after) = measured
        kept = busy <= SECONDS and after - before <= MEGABYTES
        missed += not kept
        figures = f"{size:4.1f} {seconds:10.1f} {busy:6.1f} {before:5.0f} {after:5.0f}"
        print(f"{layout:<12} {figures}   {'kept' if kept else 'MISS'}", flush=True)
    return min(1, missed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layouts", nargs="+", choices=list(LAYOUTS), default=["npy"])
    parser.add_argument("--videos", type=int, default=100)
    parser.add_argument("--frames", type=int, default=5000, help="frames per video")
    parser.add_argument("--width", type=int, default=768, help="numbers per frame")
    parser.add_argument("--folder", type=Path, help="where to write a few gigabytes (default: the temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        return run(Path(folder), options.layouts, options.videos, options.frames, options.width)


if __name__ == "__main__":
    sys.exit(main())
