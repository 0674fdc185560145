"""Time and memory of `abaw check-submission` at the size of the 6th edition: 228 videos, 1,022,655 rows.

    python benchmarks/check_submission.py [--editions NAME…] [--folder DIR]

The script makes a template and files of every layout, clean and faulty, checks each with the command in a separate
process, and prints seconds and peak memory (Linux). Limits for a file with one row per frame: 3 s of processor time,
which a busy machine hardly affects, and 300 MB.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from abaw.core.errors import ConfigError
from abaw.protocol.editions import Edition, edition
from abaw.protocol.layout import frame_name

NUM_VIDEOS = 228
NUM_ROWS = 1_022_655
SECONDS = 3.0
MEGABYTES = 300.0

# The kernel reports for an ended process at least the peak of its parent, so the process reads its own peak.
_MEASURED = """
import re, sys, time
from pipelines.cli import main
status = main(sys.argv[1:])
print(time.process_time())
print(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
sys.exit(status)
"""

Rows = list[str]


def locations() -> list[str]:
    per_video = -(-NUM_ROWS // NUM_VIDEOS)
    rows = (
        frame_name(f"{video}-30-1920x1080", frame) for video in range(NUM_VIDEOS) for frame in range(1, per_video + 1)
    )
    return list(rows)[:NUM_ROWS]


def good_rows(edition: Edition, rng: np.random.Generator) -> Rows:
    """The parts of a row, in their order: valence and arousal, class, action units, as far as the edition has them."""
    parts: list[Rows] = []
    if edition.classes:
        parts.append([str(label) for label in rng.integers(0, edition.num_classes, NUM_ROWS).tolist()])
    if edition.task in ("mtl", "valence_arousal"):
        pairs = rng.uniform(-1, 1, (NUM_ROWS, 2)).tolist()
        parts.insert(0, [f"{valence:.4f},{arousal:.4f}" for valence, arousal in pairs])
    if edition.task in ("mtl", "action_units"):
        units = [",".join("01"[code >> unit & 1] for unit in range(12)) for code in range(4096)]
        parts.append([units[code] for code in rng.integers(0, 4096, NUM_ROWS).tolist()])
    return [",".join(fields) for fields in zip(locations(), *parts, strict=True)]


def structural(rows: Rows) -> Rows:
    """Missing, extra, duplicate and moved rows, a video cut short and one missing."""
    rows = [*rows[5000:9000], *rows[:5000], *rows[9000:-700]]
    del rows[400_000:409_000]
    del rows[123_456:123_459]
    rows[200_000:200_000] = ["not there/00001.jpg,1", rows[77]]
    return rows


FAULTS: dict[str, Callable[[Rows], Rows]] = {
    "clean": lambda rows: rows,
    "missing, extra, moved": structural,
    "a float in every row": lambda rows: [row + ".0" for row in rows],
    "a space after every row": lambda rows: [row + " " for row in rows],
    "CR LF": lambda rows: [row + "\r" for row in rows],
    "no value is a number": lambda rows: [row.replace(",", ",x") for row in rows],
    "an extra field in every row": lambda rows: [row + ",0" for row in rows],
    "videos sorted by name": sorted,
    "rows in reverse": lambda rows: rows[::-1],
}


def measure(file: Path, template: Path, edition: Edition) -> tuple[float, float, float, int, str]:
    """Wall seconds, processor seconds, megabytes, exit status and last line of the command."""
    words = ["check-submission", str(file), "--template", str(template), "--edition", edition.name]
    start = time.monotonic()
    process = subprocess.run([sys.executable, "-c", _MEASURED, *words], stdout=subprocess.PIPE, text=True)
    seconds = time.monotonic() - start
    *_, last, busy, peak = process.stdout.splitlines()
    return seconds, float(busy), int(peak) / 1024, process.returncode, last.rpartition(": ")[2]


def run(folder: Path, editions: Sequence[str]) -> int:
    template, file = folder / "template.txt", folder / "submission.txt"
    missed = 0
    print(f"{'edition':<10} {'file':<28} {'seconds':>8} {'CPU s':>6} {'MB':>6}  limit  reported")
    for name in editions:
        chosen = edition(name)
        template.write_text("\n".join([chosen.header, *(f"{location}," for location in locations())]) + "\n")
        rows = good_rows(chosen, np.random.default_rng(0))
        for fault, inject in FAULTS.items():
            with file.open("w", newline="") as output:
                output.write("\n".join([chosen.header + "\r" * (fault == "CR LF"), *inject(rows)]) + "\n")
            seconds, busy, megabytes, status, last = measure(file, template, chosen)
            if status != int(fault != "clean"):
                raise ConfigError(f"{name}, {fault}: exit status {status}")
            kept = busy < SECONDS and megabytes < MEGABYTES
            missed += not kept
            figures = f"{seconds:8.2f} {busy:6.2f} {megabytes:6.0f}  {'kept ' if kept else 'MISS '}"
            print(f"{name:<10} {fault:<28} {figures}  {last}", flush=True)
    return min(1, missed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="folder for the files, about 200 MB (default: a temporary folder)")
    parser.add_argument("--editions", nargs="+", default=["abaw6", "abaw10_va", "abaw10_au", "abaw7_mtl", "abaw7_ce"])
    arguments = parser.parse_args()
    if arguments.folder is not None:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        return run(arguments.folder, arguments.editions)
    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder), arguments.editions)


if __name__ == "__main__":
    sys.exit(main())
