"""Scalars for TensorBoard, written at once.

torch's SummaryWriter writes in a thread, in which a full disk ends in a traceback, or stops the training.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from abaw.core.artifacts import storage_errors


class EventLog:
    """A new file of events in `folder`; close it after use.

    first_step: TensorBoard drops events of earlier files from this step on. Raises StorageError when writing fails.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        self._path = folder / f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
        with storage_errors(self._path):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("xb", buffering=0)
        self._records = RecordWriter(self._file)
        self._write(file_version="brain.Event:2")
        self._write(step=first_step, session_log=SessionLog(status=SessionLog.START))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Add the values of one step by name."""
        named = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._write(step=step, summary=Summary(value=named))

    def close(self) -> None:
        """Close the file. It may be called again."""
        self._file.close()

    def _write(self, **facts: Any) -> None:
        with storage_errors(self._path):
            self._records.write(Event(wall_time=time.time(), **facts).SerializeToString())


def open_log(run: Path, first_step: int) -> EventLog:
    """A new file of events in the run's folder `tensorboard`."""
    return EventLog(run / "tensorboard", first_step)
