"""A video's sound + a model -> features: one row per row of its faces stores, streamed in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.audio.blocks import blocks
from abaw.audio.decode import Chunk, mono_chunks
from abaw.audio.model import SoundModel
from abaw.audio.rows import Piece, Rows, Shown, rows_of, shown
from abaw.audio.track import NoSoundError, open_sound
from abaw.core.artifacts import provenance, quick_hash, value_hash
from abaw.core.progress import Progress, silent
from abaw.stores.arrow import StoreError, is_done
from abaw.stores.faces import FaceStore
from abaw.stores.features import feature_batch, features_writer
from abaw.stores.sources import SOUND
from abaw.video.reading.registry import open_video


@dataclass(frozen=True, slots=True)
class SoundReport:
    """The result of one video. frames: rows per store; heard: those with sound; missing: why it has no sound, "" if it
    has; track: which of several tracks was read, "" if it has one."""

    frames: int
    heard: int
    missing: str
    track: str


def write_sound_features(
    video: Path,
    faces: Sequence[FaceStore],
    model: SoundModel,
    place: Callable[[str], Path],
    track: int | None = None,
    progress: Progress = silent,
) -> SoundReport | None:
    """Write a store for each faces store of one video; None when all of them exist.

    All subjects of a video have the same sound. A video without sound has rows that are all not valid, and the reason
    in the metadata key `no_sound`. Faces without times (imported crops) take those of the video's frames.
    place: the path of the store with a given file name, that of the faces store; track: number of the sound track, from
    1; None for the default one.
    Raises StoreError for an image set or when other features are in that place, and DataError for a video that cannot
    be read.
    """
    for store in faces:
        if not store.is_video:
            raise StoreError(f"{store.store.path}: holds stills; features of sound need the frames of a video")
    source = quick_hash(video)
    marks = {store.name: _fingerprint(store, source, model, track) for store in faces}
    todo = [store for store in faces if not is_done(place(store.store.path.name), marks[store.name])]
    reports = [
        _write(video, times, stores, marks, model, place, track, progress) for times, stores in _same_times(todo, video)
    ]
    return reports[0] if reports else None


def _fingerprint(faces: FaceStore, video: str, model: SoundModel, track: int | None) -> str:
    return value_hash({"faces": faces.fingerprint, "video": video, "model": model.backbone, "track": track})


def _same_times(faces: Sequence[FaceStore], video: Path) -> Iterator[tuple[Shown, list[FaceStore]]]:
    """Stores whose frames have the same times, as those of all subjects of a video have."""
    groups: dict[bytes, list[FaceStore]] = {}
    of_video: NDArray[np.float64] | None = None
    for store in faces:
        times = store.times
        if times is None:
            of_video = _times_of(video) if of_video is None else of_video
            times = np.full(len(store), np.nan)
            times[: len(of_video)] = of_video[: len(times)]
        groups.setdefault(times.tobytes(), []).append(store)
    for key, stores in groups.items():
        yield shown(np.frombuffer(key)), stores


def _times_of(video: Path) -> NDArray[np.float64]:
    with open_video(video) as frames:
        return np.asarray([frame.time_s for frame in frames])


def _write(
    video: Path,
    frames: Shown,
    faces: Sequence[FaceStore],
    marks: dict[str, str],
    model: SoundModel,
    place: Callable[[str], Path],
    track: int | None,
    progress: Progress,
) -> SoundReport:
    with ExitStack() as stack:
        chunks: Iterable[Chunk] = ()
        missing, note = "", ""
        try:
            sound = stack.enter_context(open_sound(video, track))
            chunks = _begun(mono_chunks(sound, model.rate))
            missing, note = "" if chunks else "its sound track cannot be decoded", sound.note
        except NoSoundError as error:
            missing = error.reason
        writers = [
            stack.enter_context(
                features_writer(
                    place(store.store.path.name),
                    model.dim,
                    _meta(store, marks[store.name], model) | _facts(missing, note),
                )
            )
            for store in faces
        ]
        done = heard = 0
        progress(0, len(frames))
        for rows in rows_of(frames, pieces(chunks, model), model.dim):
            numbers = np.arange(done + 1, done + len(rows.valid) + 1, dtype=np.int32)
            batch = feature_batch(numbers, rows.valid, _half(rows))
            for write in writers:
                write(batch)
            done, heard = done + len(rows.valid), heard + int(rows.valid.sum())
            progress(done, len(frames))
    return SoundReport(len(frames), heard, missing, note)


def _begun(chunks: Iterator[Chunk]) -> Iterable[Chunk]:
    """The same chunks; an empty sequence if there are none."""
    first = next(chunks, None)
    return () if first is None else chain([first], chunks)


def pieces(chunks: Iterable[Chunk], model: SoundModel) -> Iterator[Piece]:
    """What the model computes from the sound, in order of time: each moment has the vector whose centre is nearest."""
    for block in blocks(chunks, round(model.length_s * model.rate), round(model.context_s * model.rate)):
        centres, values = model.vectors(block.samples)
        between = block.begin + (centres[1:] + centres[:-1]) / 2
        inside = (between > block.core_begin) & (between < block.core_end)
        first = int((between <= block.core_begin).sum())
        edges = np.concatenate([[block.core_begin], between[inside], [block.core_end]])
        yield Piece(edges / model.rate, values[first : first + int(inside.sum()) + 1])


def _half(rows: Rows) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        return rows.values.astype(np.float16)


def _meta(faces: FaceStore, fingerprint: str, model: SoundModel) -> dict[str, Any]:
    return dict(
        provenance(
            fingerprint=fingerprint,
            backbone=model.backbone,
            modality=SOUND,
            model=model.settings,
            fps=faces.meta.get("fps"),
            faces={key: value for key, value in faces.meta.items() if key != "kind"},
        )
    )


def _facts(missing: str, track: str) -> dict[str, str]:
    return ({"no_sound": missing} if missing else {}) | ({"track": track} if track else {})
