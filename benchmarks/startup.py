"""Processor time of `abaw COMMAND --help` for every command, and of a wrong path.

Each figure is the best of several runs, user and system time together. python benchmarks/startup.py [--runs N]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from pipelines.cli import STAGES

_ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    cases = [[name, "--help"] for name in STAGES] + [["predict-video", "nothere.mp4"]]
    print("| command | processor seconds |\n|---|---|")
    for words in cases:
        print(f"| `abaw {' '.join(words)}` | {min(seconds(words) for _ in range(runs)):.2f} |", flush=True)


def seconds(words: list[str]) -> float:
    """User and system time of one command."""
    before = os.times()
    subprocess.run([sys.executable, "-m", "pipelines.cli", *words], capture_output=True, cwd=_ROOT, check=False)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


if __name__ == "__main__":
    main()
