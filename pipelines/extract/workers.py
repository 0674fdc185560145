"""Videos side by side: one process a worker, each with a detector of its own."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path

from abaw.core.errors import AbawError, DataError
from abaw.core.progress import Progress, silent
from abaw.protocol.layout import Subject
from abaw.video.detecting.detector import Detector
from abaw.video.detecting.registry import open_detector
from abaw.video.extract import ExtractedVideo, ExtractOptions, extract_video
from abaw.video.people.corrections import Corrections


@dataclass(frozen=True, slots=True)
class Work:
    """One video and its people, None for one store a track; corrections: whom a person chose."""

    path: Path
    subjects: list[Subject] | None
    corrections: Corrections = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finished:
    """outcome: what became of the video, or why it failed; seconds: how long it took."""

    work: Work
    outcome: ExtractedVideo | AbawError
    seconds: float


@dataclass(frozen=True, slots=True)
class Setting:
    """What all videos share."""

    out: Path
    detector: str
    options: ExtractOptions


def extract_one(work: Work, setting: Setting, detector: Detector, progress: Progress = silent) -> Finished:
    """Extract one video; a fault that the user can act on is an outcome, so that the rest is done."""
    start = time.monotonic()
    outcome: ExtractedVideo | AbawError
    try:
        outcome = extract_video(
            work.path, setting.out, detector, work.subjects, setting.options, work.corrections, progress
        )
    except AbawError as error:
        outcome = error
    return Finished(work, outcome, time.monotonic() - start)


def extract_side_by_side(works: Iterable[Work], setting: Setting, workers: int) -> Iterator[Finished]:
    """Extract with `workers` processes; results come as they are ready."""
    threads = max(1, (os.cpu_count() or 1) // workers)
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(setting, threads))
    try:
        futures = {pool.submit(_extract_in_worker, work): work for work in works}
        for future in as_completed(futures):
            yield _result(future, futures[future])
    finally:
        pool.shutdown(cancel_futures=True)


def _result(future: Future[Finished], work: Work) -> Finished:
    try:
        return future.result()
    except BrokenProcessPool:
        error = DataError(f"{work.path}: a worker process died (out of memory?); run again with fewer --workers")
        return Finished(work, error, 0.0)


class _Worker:
    """What a worker process keeps from video to video."""

    setting: Setting
    detector: Detector


def _start(setting: Setting, threads: int) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _Worker.setting = setting
    _Worker.detector = open_detector(setting.detector, setting.options.min_score, threads)


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _extract_in_worker(work: Work) -> Finished:
    return extract_one(work, _Worker.setting, _Worker.detector)
