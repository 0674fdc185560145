"""`abaw extract --review`: one contact sheet per video, and which videos a person should review first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.console import say

if TYPE_CHECKING:
    from abaw.video.people.contact_sheet import Review
    from abaw.video.people.subject_stores import ExtractedStore

FOLDER = "review"
_COLUMNS = ("video", "subject", "choice", "tracks", "margin", "runner_up", "faces", "frames")


def review(stores: Mapping[Path, Sequence[ExtractedStore]], out: Path) -> None:
    """Write `<out>/review/<video>.png` for each video with its stores, and `review.csv`, most doubtful first.

    Where several videos have one name, a sheet has that of its first person. stores: of each video; those of a person
    with several kinds of crop differ in their crops alone.
    """
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.video.people.contact_sheet import SUBJECTS_SHOWN, by_doubt, read_review, write_sheet
    from abaw.video.people.crop_samples import read_sample

    everything: list[Review] = []
    videos_of_name = Counter(video.stem for video in stores)
    for video, made in stores.items():
        people = list(dict.fromkeys(store.subject for store in made))
        reviews = [read_review(next(store.path for store in made if store.subject == name)) for name in people]
        shown = [store for name in people[:SUBJECTS_SHOWN] for store in made if store.subject == name]
        samples = [read_sample(store.path, store.subject) for store in shown]
        name = video.stem if videos_of_name[video.stem] == 1 else people[0]
        write_sheet(out / FOLDER / f"{name}.png", video, reviews, samples)
        everything += reviews
    ranked = by_doubt(everything)
    _write_table(out / FOLDER / "review.csv", ranked)
    _tell(ranked, len(stores), out / FOLDER)


def _write_table(path: Path, reviews: Sequence[Review]) -> None:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.artifacts import write_text
    from abaw.core.text import csv_text

    rows: list[Sequence[object]] = [_COLUMNS]
    for one in reviews:
        margin = "" if one.margin is None else f"{one.margin:.4f}"
        tracks, runner_up = (" ".join(map(str, numbers)) for numbers in (one.tracks, one.runner_up))
        rows.append([one.video, one.subject, one.choice, tracks, margin, runner_up, one.faces, one.num_frames])
    write_text(path, csv_text(rows))


def _tell(ranked: Sequence[Review], num_videos: int, folder: Path) -> None:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.video.people.subject_stores import CLOSE_MARGIN

    close = [one for one in ranked if one.margin is not None and one.margin < CLOSE_MARGIN]
    say(f"{num_videos} contact sheets in {folder}; {len(close)} close choices (margin below {CLOSE_MARGIN})")
    for one in close:
        say(f"  {one.video}: {one.line}")
