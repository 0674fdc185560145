"""How fast `abaw predict-video` is from the shell, how long it takes to start, and which stage takes what share.

    python benchmarks/predict_video.py --video CLIP.mp4 [--runs 5] [--words --temporal builtin] [--stages]

The command runs on the clip and on its first frames, in turns, each time into a new folder. Printed are the medians of
the elapsed time and of the processor time: the start, which is the time of the first frames; frames per second
including it; and frames per second in steady state, which is the difference of both. On a busy machine only the
processor time means anything: an idle machine is faster by up to the number of its cores.

`--stages` measures the parts in one process, one after the other: decoding alone, faces (with decoding), features,
predictions, and the results (table, page). `--imports` lists the slowest imports of the command.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import av

ROOT = Path(__file__).resolve().parents[1]
FIRST_FRAMES = 2
SLOW_IMPORTS = 25


@dataclass(frozen=True)
class Seconds:
    elapsed: float
    processor: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--words", nargs=argparse.REMAINDER, default=[], help="further words of predict-video, last")
    parser.add_argument("--stages", action="store_true")
    parser.add_argument("--imports", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if arguments.imports:
            imports(arguments.video, root, arguments.words)
        elif arguments.stages:
            stages(arguments.video, root, arguments.words)
        else:
            from_the_shell(arguments.video, root, arguments.runs, arguments.words)


def from_the_shell(video: Path, root: Path, runs: int, words: list[str]) -> None:
    first, num_frames = root / "first.mp4", count_frames(video)
    cut(video, first, FIRST_FRAMES)
    times: dict[Path, list[Seconds]] = {first: [], video: []}
    for _ in range(runs):
        for path, taken in times.items():
            with tempfile.TemporaryDirectory(dir=root) as out:
                taken.append(run(command(path, Path(out), words)))
    print(f"{video.name}: {num_frames} frames; load of the machine {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    for name in ("elapsed", "processor"):
        start, whole = (median(getattr(each, name) for each in taken) for taken in times.values())
        print(
            f"{name} time: start {start:.2f} s, whole {whole:.2f} s, {num_frames / whole:.1f} frames/s with the start, "
            f"{(num_frames - FIRST_FRAMES) / (whole - start):.1f} in steady state"
        )


def command(video: Path, out: Path, words: list[str]) -> list[str]:
    return [sys.executable, "-m", "pipelines.cli", "predict-video", str(video), "--out", str(out), *words]


def run(words: list[str]) -> Seconds:
    before, start = os.times(), time.monotonic()
    subprocess.run(words, capture_output=True, check=True, cwd=ROOT)
    after = os.times()
    used = after.children_user - before.children_user + after.children_system - before.children_system
    return Seconds(time.monotonic() - start, used)


def imports(video: Path, root: Path, words: list[str]) -> None:
    first = root / "first.mp4"
    cut(video, first, FIRST_FRAMES)
    python, *rest = command(first, root / "out", words)
    done = subprocess.run([python, "-X", "importtime", *rest], capture_output=True, text=True, check=True, cwd=ROOT)
    rows = []
    for line in done.stderr.splitlines():
        parts = line.removeprefix("import time:").split("|")
        if len(parts) == 3 and parts[1].strip().isdigit():
            rows.append((int(parts[1]), parts[2].strip()))
    for microseconds, name in sorted(rows, reverse=True)[:SLOW_IMPORTS]:
        print(f"{microseconds / 1e6:6.3f} s {name}")
    print(f"torch is {'' if any(name == 'torch' for _, name in rows) else 'not '}loaded")


def stages(video: Path, root: Path, words: list[str]) -> None:
    begin = time.process_time()
    from abaw.inference.features import write_video_features
    from abaw.inference.video import VideoPipeline, load_models
    from abaw.stores.faces import open_faces
    from abaw.video.detecting.registry import open_detector
    from abaw.video.reading.registry import open_video
    from pipelines.cli import parse_config
    from pipelines.extract.command import resolved_detector
    from pipelines.predict_video.command import _presentation
    from pipelines.predict_video.results import VideoResults

    config = parse_config("predict-video", command(video, root / "out", words)[4:])
    models = load_models(config.checkpoint, config.temporal, config.accelerator, config.batch_size)
    detector = open_detector(resolved_detector(config.detector))
    pipeline = VideoPipeline(config.out / "stores", detector, models, config.reader, config.subjects == "all")
    taken = {"imports and models": time.process_time() - begin}

    @contextlib.contextmanager
    def timed(name: str) -> Iterator[None]:
        start = time.process_time()
        yield
        taken[name] = time.process_time() - start

    with timed("decoding alone"), open_video(video, config.reader) as frames:
        num_frames = sum(1 for _ in frames)
    with timed("faces, with decoding"):
        (store,) = pipeline._extract(video, False, lambda done, total: None).stores
    faces = open_faces(store.path)
    with timed("features"):
        name = faces.store.path.name
        write_video_features(faces, models.extractor, pipeline.folder / "features" / name)
    with timed("predictions"):
        pipeline.run(video)
    with timed("results"):
        VideoResults(config.out, pipeline, _presentation(config)).make(video, lambda done, total: None)
    print(f"{video.name}: {num_frames} frames, processor time (all threads)")
    whole = sum(value for name, value in taken.items() if name != "decoding alone")
    for name, value in taken.items():
        print(f"{value:7.2f} s {100 * value / whole:5.1f} % {1e3 * value / num_frames:6.2f} ms per frame  {name}")


def count_frames(video: Path) -> int:
    with av.open(str(video)) as container:
        return sum(1 for _ in container.decode(video=0))


def cut(video: Path, path: Path, num_frames: int) -> None:
    """The first frames of a clip, encoded again."""
    with av.open(str(video)) as source, av.open(str(path), "w") as target:
        given = source.streams.video[0]
        stream = target.add_stream("libx264", rate=given.average_rate)
        stream.width, stream.height, stream.pix_fmt = given.width, given.height, "yuv420p"
        for index, frame in enumerate(source.decode(video=0)):
            if index == num_frames:
                break
            target.mux(stream.encode(frame.reformat(format="yuv420p")))
        target.mux(stream.encode(None))


if __name__ == "__main__":
    main()
