"""The measurements of `on_gpu.sh`: one card, a time limit, one JSON file and one Markdown table that grow.

    python benchmarks/on_gpu.py --pack pack.zip --out DIR [--minutes 10] [--device cuda] [--only loop detection] [--toy]

Measurements, in this order; one that fails is reported and does not stop the others:

    stores      import of FER+ (its FER2013 labels) and LFW: images per second
    loop        the training loop against its model alone, ResNet-18, 112 pixels, in 16-mixed and bf16-mixed (>= .90)
    resume      train-static in both precisions: killed after a checkpoint and continued, against an undisturbed run
    detection   the built-in detector, batched on the device, against onnxruntime on the processor: boxes within a pixel
    features    `features` with ResNet-18: frames per second
    video       `predict-video`: frames per second
    bench       cells of bench/fer2013_full (m = 25, 100, 250; supervised, fixmatch, spatial), as many as fit

--toy: a tiny network and few steps, to try the script on a processor.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from abaw.core.artifacts import write_json, write_text

ROOT = Path(__file__).resolve().parents[1]
PRECISIONS = ("16-mixed", "bf16-mixed")
PER_CLASS = (25, 100, 250)
ENTRIES = ("supervised", "fixmatch", "spatial")
_RESERVE_S = 15.0
"""For the last report."""
_MIN_SCORE = 0.55
_CANVAS = (640, 384)

Figures = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How large the measurements are. bench_steps: of a cell, where the recipe has 20,000."""

    backbone: str
    pixels: int
    batch: int
    steps: int
    repeats: int
    resume_steps: int
    frames: int
    bench_steps: int
    bench: tuple[str, ...]


FULL = Size("resnet18", 112, 256, 30, 3, 60, 64, 2000, ())
TOY = Size("small", 32, 4, 2, 1, 6, 4, 4, ("--backbone", "small", "--size", "32", "--batch_size", "4"))


class Session:
    """Time left, places, and the figures so far."""

    def __init__(self, out: Path, minutes: float, device: str, size: Size) -> None:
        self.out, self.device, self.size = out, device, size
        self.ends = time.monotonic() + 60 * minutes - _RESERVE_S
        self.work, self.logs = out / "work", out / "logs"
        for folder in (self.work, self.logs):
            folder.mkdir(parents=True, exist_ok=True)
        self.figures: Figures = {"machine": _machine(device), "measurements": {}}

    @property
    def left(self) -> float:
        return self.ends - time.monotonic()

    def measure(self, name: str, function: Callable[[Session], Figures]) -> None:
        begun = time.monotonic()
        if self.left <= 0:
            found: Figures = {"error": "no time left"}
        else:
            try:
                found = function(self)
            except Exception as error:  # the other measurements count as well
                found = {"error": f"{type(error).__name__}: {error}"}
        self.figures["measurements"][name] = {**found, "seconds": time.monotonic() - begun}
        write_json(self.out / "on_gpu.json", self.figures)
        write_text(self.out / "on_gpu.md", table(self.figures))
        print(f"{name}: {json.dumps(self.figures['measurements'][name])[:300]}", flush=True)

    def abaw(self, log: str, *words: str, seconds: float | None = None) -> float:
        """Run a command within the time left; its seconds. Raises RuntimeError with the end of its output."""
        begun = time.monotonic()
        process = self.start(log, *words)
        try:
            status = process.wait(min(self.left, seconds or self.left))
        except subprocess.TimeoutExpired:
            stop(process)
            raise RuntimeError(f"{words[0]}: no time left") from None
        if status:
            raise RuntimeError(f"{words[0]}: status {status}: {(self.logs / log).read_text()[-500:]}")
        return time.monotonic() - begun

    def start(self, log: str, *words: str) -> subprocess.Popen[bytes]:
        with (self.logs / log).open("wb") as output:
            command = [sys.executable, "-m", "pipelines.cli", *words]
            return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT)


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _machine(device: str) -> Figures:
    import torch

    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    return {"device": name, "torch": torch.__version__, "cores": os.cpu_count()}


def stores(session: Session) -> Figures:
    workers = str(os.cpu_count() or 1)
    found: Figures = {}
    dataset = _descriptor(session)
    for name, source, folder, subset in (
        ("fer2013_train", dataset, "ferplus", ["--subset", "train"]),
        ("fer2013_valid", dataset, "ferplus", ["--subset", "valid"]),
        ("lfw", "unlabelled", "lfw", []),
    ):
        seconds = session.abaw(
            f"import-{name}.txt", "import-images", "--dataset", source, "--root", str(session.work / "pack" / folder),
            "--out", str(session.work / "stores"), "--detector", "none", "--name", name, "--workers", workers, *subset,
        )  # fmt: skip
        found[name] = {"images": rows_of(session.work / "stores" / f"{name}.arrow"), "seconds_of_import": seconds}
    return found


def _descriptor(session: Session) -> str:
    """FER2013 without the number of photos that it must have: a pack may have fewer."""
    content = yaml.safe_load((ROOT / "data_manifests" / "datasets" / "fer2013.yaml").read_text())
    path = session.work / "fer2013.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in content.items() if key != "expected"}))
    return str(path)


def rows_of(path: Path) -> int:
    from abaw.stores.faces import open_faces

    return len(open_faces(path))


def loop(session: Session) -> Figures:
    size, found = session.size, {}
    for precision in PRECISIONS:
        target = session.out / f"loop-{precision}.json"
        words = [sys.executable, str(ROOT / "benchmarks" / "train_throughput.py"), "--faces", _store(session, "train")]
        words += ["--backbone", size.backbone, "--size", str(size.pixels), "--device", session.device]
        words += ["--precision", precision, "--batch_size", str(size.batch), "--steps", str(size.steps)]
        words += ["--repeats", str(size.repeats), "--workers", str(min(8, os.cpu_count() or 1)), "--json", str(target)]
        with (session.logs / f"loop-{precision}.txt").open("wb") as log:
            subprocess.run(words, stdout=log, stderr=subprocess.STDOUT, timeout=session.left, check=True)
        figures = json.loads(target.read_text())
        speeds, ratios = figures["images_per_second"], figures["ratios"]
        found[precision] = {name: statistics.median(speeds[name]) for name in ("model", "loop", "kept", "common")}
        found[precision] |= {f"{name}/model": statistics.median(ratios[f"{name}/model"]) for name in ("loop", "kept")}
    return found


def resume(session: Session) -> Figures:
    """Weights of a run that was killed and continued, against those of one that was not."""
    return {precision: _resumed(session, precision) for precision in PRECISIONS}


def _resumed(session: Session, precision: str) -> Figures:
    size, folder = session.size, session.work / f"resume-{precision}"
    words = ["train-static", "--labelled", _store(session, "train"), "--backbone", size.backbone]
    words += [
        "--size",
        str(size.pixels),
        "--method",
        "supervised",
        "--holdout",
        "0",
        "--batch_size",
        str(min(64, size.batch)),
    ]
    words += ["--train.steps", str(size.resume_steps), "--train.checkpoint_every", str(size.resume_steps // 2)]
    words += ["--train.warmup_steps", "1", "--train.precision", precision, "--train.accelerator", session.device]
    whole = session.abaw(f"whole-{precision}.txt", *words, "--out", str(folder / "whole"))
    process = session.start(f"killed-{precision}.txt", *words, "--out", str(folder / "killed"))
    while process.poll() is None and not (folder / "killed" / "last").exists() and session.left > 0:
        time.sleep(0.05)
    process.kill()
    process.wait()
    rest = session.abaw(f"resumed-{precision}.txt", *words, "--out", str(folder / "killed"))
    difference = _difference(folder / "whole" / "last", folder / "killed" / "last")
    return {"seconds_whole": whole, "seconds_resumed": rest, "largest_difference_of_weights": difference}


def _difference(one: Path, other: Path) -> float:
    from safetensors.numpy import load_file

    weights = [load_file(folder / "weights.safetensors") for folder in (one, other)]
    return max(float(abs(weights[0][name].astype(float) - weights[1][name].astype(float)).max()) for name in weights[0])


def detection(session: Session) -> Figures:
    """The detector's network on the device, in batches, against the detector as `extract` runs it."""
    import numpy as np
    import torch

    from abaw.detector.network import build_detector
    from abaw.detector.start import start_from_graph
    from abaw.video.detecting.builtin import NETWORK, decode
    from abaw.weights import builtin_detector

    canvases = _canvases(session)
    grey = torch.from_numpy(np.stack([_grey(canvas) for canvas in canvases]))
    model = build_detector(0)
    start_from_graph(model, builtin_detector(), grey[:2])
    model = model.eval().to(session.device)
    torch.backends.cudnn.allow_tf32 = False  # as exact as on the processor
    with torch.inference_mode():
        model(grey.to(session.device))  # kernels are chosen
        begun = time.perf_counter()
        grids = [grid.cpu().numpy() for grid in model(grey.to(session.device))]
        seconds = time.perf_counter() - begun
    found = [decode([level[index] for level in grids], _MIN_SCORE).box_xyxy for index in range(len(canvases))]
    detector = NETWORK(builtin_detector(), _MIN_SCORE, None)
    begun = time.perf_counter()
    expected = [detector.find(canvas).box_xyxy for canvas in canvases]
    on_processor = time.perf_counter() - begun
    alike = [(a, b) for a, b in zip(found, expected, strict=True) if len(a) == len(b)]
    return {
        "pictures": len(canvases),
        "faces": sum(map(len, expected)),
        "pictures_with_another_number_of_faces": len(canvases) - len(alike),
        "largest_distance_px": max((float(np.abs(a - b).max(initial=0)) for a, b in alike), default=0.0),
        "pictures_per_second": len(canvases) / seconds,
        "pictures_per_second_onnxruntime": len(canvases) / on_processor,
    }


def _canvases(session: Session) -> list[Any]:
    """Frames of the clips, (H, W, 3) BGR, all of one size, spread over each clip."""
    import cv2

    from abaw.video.reading.registry import open_video

    frames = []
    for clip in _clips(session):
        with open_video(clip) as video:
            pictures = [frame.image for frame in video if frame.index % 10 == 1 and frame.image is not None]
        frames += [cv2.cvtColor(cv2.resize(picture, _CANVAS), cv2.COLOR_RGB2BGR) for picture in pictures]
        if len(frames) >= session.size.frames:
            break
    return frames[: session.size.frames]


def _grey(canvas: Any) -> Any:
    """(1, H, W), 0..1, as the network is trained on."""
    import cv2
    import numpy as np

    return (cv2.cvtColor(canvas, cv2.COLOR_BGR2GRAY).astype(np.float32) / 255)[None]


def features(session: Session) -> Figures:
    """Frames per second of `features`, after its first store."""
    import torch

    from abaw.extractors.registry import open_extractor
    from abaw.extractors.settings import ExtractorSettings
    from abaw.inference.features import write_video_features
    from abaw.models.architecture import Architecture
    from abaw.models.static import build_static, image_for, save_static
    from abaw.protocol.classes import EXPRESSION_CLASSES
    from abaw.stores.arrow import find_stores
    from abaw.stores.faces import open_faces

    size, folder = session.size, session.work / "faces"
    workers = str(os.cpu_count() or 1)
    extract = session.abaw("extract.txt", "extract", *map(str, _clips(session)), "--out", str(folder), "--detector",
                           "builtin", "--workers", workers)  # fmt: skip
    checkpoint, architecture = session.work / "static", Architecture(backbone=size.backbone)
    if not checkpoint.exists():
        model = build_static(architecture, len(EXPRESSION_CLASSES), size.pixels, seed=0)
        save_static(checkpoint, model, architecture, EXPRESSION_CLASSES, image_for(size.backbone, size.pixels), {})
    extractor = open_extractor(
        str(checkpoint), torch.device(session.device), ExtractorSettings(), None, flip=False, batch_size=256,
        outputs="features",
    )  # fmt: skip
    faces = [open_faces(path) for path in find_stores([folder])]
    out = session.work / f"features-{time.time_ns()}"
    write_video_features(faces[0], extractor, out / "first.arrow")
    begun = time.perf_counter()
    for store in faces:
        write_video_features(store, extractor, out / f"{store.name}.arrow")
    seconds = time.perf_counter() - begun
    frames = sum(map(len, faces))
    return {"frames": frames, "frames_per_second": frames / seconds, "extract_frames_per_second": frames / extract}


def video(session: Session) -> Figures:
    """Frames per second of `predict-video`, its start included."""
    from abaw.stores.arrow import find_stores
    from abaw.stores.faces import open_faces

    clips = _clips(session)
    seconds = session.abaw("predict-video.txt", "predict-video", *map(str, clips), "--out", str(session.work / "video"),
                           "--accelerator", session.device)  # fmt: skip
    frames = sum(len(open_faces(path)) for path in find_stores([session.work / "faces"]))
    return {"videos": len(clips), "frames": frames, "frames_per_second": frames / seconds}


def bench(session: Session) -> Figures:
    """Cells until the time is up; an unfinished one does not count."""
    size, out = session.size, session.work / "bench"
    words = ["bench", "ssl", "--config", "bench/fer2013_full", "--labelled", _store(session, "train"), "--scored"]
    words += [_store(session, "valid"), "--unlabelled", str(session.work / "stores" / "lfw.arrow"), "--out", str(out)]
    words += ["--per_class", *map(str, PER_CLASS), "--only", *ENTRIES, "--seeds", "0", "--workers", "3"]
    words += ["--train.steps", str(size.bench_steps), "--warm_start_steps", str(size.bench_steps // 10)]
    words += ["--train.warmup_steps", "1", "--train.evaluate_every", str(size.bench_steps)]
    words += ["--train.checkpoint_every", str(size.bench_steps), "--train.accelerator", session.device]
    if session.device == "cpu":
        words += ["--train.precision", "32-true"]
    error = ""
    try:
        session.abaw("bench.txt", *words, *size.bench)
    except RuntimeError as problem:
        error = str(problem)
    cells = {}
    for file in sorted(out.glob("cells/*/cell.json")):
        cell = json.loads(file.read_text())
        scores = {key: cell["last"][key] for key in ("accuracy", "macro_f1")}
        cells[file.parent.name] = {**scores, "seconds": cell["total_seconds"]}
    if not cells:
        raise RuntimeError(error or "no cell was finished")
    return {"steps": size.bench_steps, "cells": cells, **({"ended": error} if error else {})}


def _store(session: Session, split: str) -> str:
    return str(session.work / "stores" / f"fer2013_{split}.arrow")


def _clips(session: Session) -> list[Path]:
    clips = sorted((session.work / "pack" / "clips").glob("*"))
    if not clips:
        raise RuntimeError("the pack contains no clip; give --clips to pack_for_gpu.py")
    return clips


def table(figures: Mapping[str, Any]) -> str:
    """Markdown: one row per figure."""
    machine = figures["machine"]
    lines = [f"{machine['device']}, {machine['cores']} cores, torch {machine['torch']}", ""]
    lines += ["| measurement | figure | value |", "|---|---|---|"]
    for name, found in figures["measurements"].items():
        lines += [f"| {name} | {key} | {value} |" for key, value in _flat(found)]
    return "\n".join(lines) + "\n"


def _flat(found: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in found.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key} ")
        else:
            text = f"{value:,.4g}" if isinstance(value, float) else str(value).replace("\n", " ").replace("|", "/")
            rows.append((f"{prefix}{key}", text))
    return rows


MEASUREMENTS: Mapping[str, Callable[[Session], Figures]] = {
    "stores": stores,
    "loop": loop,
    "resume": resume,
    "detection": detection,
    "features": features,
    "video": video,
    "bench": bench,
}


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--only", nargs="+", choices=list(MEASUREMENTS), default=list(MEASUREMENTS))
    parser.add_argument("--toy", action="store_true")
    options = parser.parse_args(words)
    session = Session(options.out.absolute(), options.minutes, options.device, TOY if options.toy else FULL)
    with zipfile.ZipFile(options.pack) as archive:
        archive.extractall(session.work / "pack")
    for name in options.only:
        session.measure(name, MEASUREMENTS[name])
    print((session.out / "on_gpu.md").read_text())
    return int(any("error" in found for found in session.figures["measurements"].values()))


if __name__ == "__main__":
    raise SystemExit(main())
