"""The submission file of an edition with a row a frame, written from the organisers' template and per-frame labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from abaw.core.artifacts import atomic_path
from abaw.core.errors import DataError
from abaw.protocol.editions import Edition
from abaw.protocol.template import Template, parse_location

_LISTED = 20


@dataclass(frozen=True, slots=True)
class Written:
    """What was written. extended: by video, the rows behind its last decoded frame, which repeat its last label."""

    num_rows: int
    num_videos: int
    extended: Mapping[str, int]


def write_submission(
    path: Path, template: Template, edition: Edition, labels: Mapping[str, NDArray[np.int8]]
) -> Written:
    """Write the edition's header and then every row of the template, in its order, with the label of its frame.

    labels: by video, (T,) with one class a decoded frame, frame k at k - 1; gaps must be filled already. A row behind
    the last decoded frame repeats the last label. The file is written whole or not at all.
    Raises DataError, listing all of them, when videos of the template have no labels, and when a label is no class.
    """
    _require_videos(template, labels)
    for video, values in labels.items():
        if len(values) and not 0 <= values.min() <= values.max() < edition.num_classes:
            raise DataError(
                f"{video}: labels must lie in 0..{edition.num_classes - 1}, found {values.min()}..{values.max()}"
            )
    extended: dict[str, int] = {}
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write(edition.header + "\n")
        for video, locations in groupby(template.locations, key=_video_of):
            file.writelines(_rows(video, locations, labels[video], extended))
    return Written(len(template.locations), len(template.videos()), extended)


def _video_of(location: str) -> str:
    return location.rpartition("/")[0]


def _rows(video: str, locations: Iterator[str], labels: NDArray[np.int8], extended: dict[str, int]) -> Iterator[str]:
    values = labels.tolist()
    for location in locations:
        parsed = parse_location(location)
        if parsed is None or parsed[1] < 1:
            raise DataError(f"template row '{location}': expected '<video>/00001.jpg' with frames counted from 1")
        frame = parsed[1]
        if frame > len(values):
            extended[video] = extended.get(video, 0) + 1
        yield f"{location},{values[min(frame, len(values)) - 1]}\n"


def _require_videos(template: Template, labels: Mapping[str, NDArray[np.int8]]) -> None:
    videos = template.videos()
    missing = [video for video in videos if video not in labels or not len(labels[video])]
    if not missing:
        return
    more = f" and {len(missing) - _LISTED} more" if len(missing) > _LISTED else ""
    raise DataError(
        f"{template.path}: no predictions for {len(missing)} of its {len(videos)} videos: "
        f"{', '.join(missing[:_LISTED])}{more}; extract and predict them, then submit again (nothing was written)"
    )
