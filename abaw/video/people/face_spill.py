"""Every face of a video on disk until it is known whose it is: memory use does not depend on the video's length.

A face has one JPEG per kind of crop.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from abaw.core.artifacts import storage_errors
from abaw.stores.faces import VIDEO_SCHEMA
from abaw.video.detecting.detections import Detections

_ROWS = 128
_FRAME_COLUMNS = ("frame", "time_s", "fault")


class FaceSpill:
    """Rows in an unnamed temporary file in `folder`, which is gone when closed or when the process is killed.

    num_crops: K kinds of crop. A row has the columns of VIDEO_SCHEMA, except that there is one `jpeg` per kind. One row
    per face, and one row of nulls for a frame without a face. Raises StorageError if the disk is full.
    """

    def __init__(self, folder: Path, num_crops: int = 1) -> None:
        self._folder = folder
        jpegs = [(_jpeg(crop), VIDEO_SCHEMA.field("jpeg").type) for crop in range(num_crops)]
        self._schema = pa.schema([*(field for field in VIDEO_SCHEMA if field.name != "jpeg"), *jpegs])
        self._rows: list[dict[str, Any]] = []
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by close()
            self._writer = pa.ipc.new_stream(self._file, self._schema)

    def __enter__(self) -> FaceSpill:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(
        self, frame: int, time_s: float, faces: Detections, jpegs: Sequence[Sequence[bytes]], tracks: list[int]
    ) -> None:
        """Add the N faces of one frame with their crops and track numbers, 0 for a face without a track.

        jpegs: K sequences of N crops.
        """
        for row, track in enumerate(tracks):
            face = {"box_xyxy": faces.box_xyxy[row], "score": float(faces.score[row]), "track": track}
            face |= {_jpeg(crop): encoded[row] for crop, encoded in enumerate(jpegs)}
            if faces.landmarks_xy is not None:
                face["landmarks_xy"] = faces.landmarks_xy[row].reshape(-1)
            self._rows.append({"frame": frame, "time_s": time_s, **face})
        if not tracks:
            self._rows.append({"frame": frame, "time_s": time_s})
        self._flush_when_full()

    def add_missing(self, frame: int, time_s: float, reason: str) -> None:
        """Add a frame that is part of the video but could not be decoded, and why."""
        self._rows.append({"frame": frame, "time_s": time_s, "fault": reason})
        self._flush_when_full()

    def _flush_when_full(self) -> None:
        if len(self._rows) >= _ROWS:
            self._flush()

    def _flush(self) -> None:
        columns = [pa.array([row.get(field.name) for row in self._rows], type=field.type) for field in self._schema]
        self._rows.clear()
        with storage_errors(self._folder):
            self._writer.write_batch(pa.record_batch(columns, schema=self._schema))

    def finish(self) -> None:
        """Call once, after the last frame and before the first `rows`."""
        if self._rows:
            self._flush()
        with storage_errors(self._folder):
            self._writer.close()
            self._file.flush()

    def rows(self, tracks: Collection[int], crop: int = 0) -> Iterator[pa.RecordBatch]:
        """Rows of VIDEO_SCHEMA with the crops of one kind, 0 to K - 1.

        One row per frame: the face of one of these tracks, which never exist at the same time, or nulls.
        """
        self._file.seek(0)
        wanted = np.array(sorted(tracks), np.int32)
        with pa.ipc.open_stream(self._file) as reader:
            for batch in reader:
                yield _one_row_per_frame(batch, wanted, _jpeg(crop))


def _jpeg(crop: int) -> str:
    return f"jpeg {crop}"


def _one_row_per_frame(batch: pa.RecordBatch, wanted: np.ndarray[Any, np.dtype[np.int32]], jpeg: str) -> pa.RecordBatch:
    frames, first, inverse = np.unique(batch.column("frame").to_numpy(), return_index=True, return_inverse=True)
    hits = np.flatnonzero(np.isin(batch.column("track").fill_null(0).to_numpy(), wanted))
    source = np.zeros(len(frames), np.int64)
    found = np.zeros(len(frames), bool)
    source[inverse[hits]] = hits
    found[inverse[hits]] = True
    faces = pa.array(source, mask=~found)
    columns = [
        batch.column(jpeg if field.name == "jpeg" else field.name).take(
            pa.array(first) if field.name in _FRAME_COLUMNS else faces
        )
        for field in VIDEO_SCHEMA
    ]
    return pa.record_batch(columns, schema=VIDEO_SCHEMA)
