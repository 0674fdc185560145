"""The same features in every format: what other tools would have written."""

from __future__ import annotations

import csv
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
from numpy.typing import NDArray

from abaw.stores.faces import VIDEO_SCHEMA, write_video_faces
from pipelines.cli import main

T, D, FPS = 30, 4, 25.0


@dataclass(frozen=True)
class Rows:
    """Rows of one video: the frames that they describe, from 1, and a vector each, perhaps of different widths."""

    frames: Sequence[int]
    vectors: Sequence[NDArray[Any]]

    def __len__(self) -> int:
        return len(self.frames)


Videos = Mapping[str, Rows]


def make_faces(
    folder: Path, *names: str, num_frames: int = T, times: bool = True, faceless: Sequence[int] = ()
) -> None:
    """faceless: the rows without a face."""
    columns: list[Any] = [pa.array(range(1, num_frames + 1), pa.int32())]
    columns.append(pa.array(np.arange(num_frames) / FPS if times else [None] * num_frames, pa.float64()))
    columns.append(pa.array([None if row in faceless else b"a face" for row in range(num_frames)], pa.binary()))
    columns += [pa.nulls(num_frames, field.type) for field in list(VIDEO_SCHEMA)[3:]]
    for name in names:
        batch = pa.record_batch(columns, schema=VIDEO_SCHEMA)
        write_video_faces(folder / f"{name}.arrow", [batch], {"fps": FPS, "fingerprint": name})


def whole(seed: int = 0, num_rows: int = T, width: int = D) -> Rows:
    """A row for every frame."""
    values = np.random.default_rng(seed).normal(size=(num_rows, width)).astype(np.float32)
    return Rows(range(1, num_rows + 1), list(values))


def run(root: Path, *words: str, name: str = "net") -> int:
    """Import what is in root/in."""
    named = ["--name", name] if name else []
    return main(["import-features", "--faces", str(root / "faces"), "--out", str(root / "out"), *named, *words])


def _npy(folder: Path, videos: Videos) -> Path:
    for name, rows in videos.items():
        np.save(folder / f"{name}.npy", np.stack(rows.vectors))
    return folder


def _npz(folder: Path, videos: Videos) -> Path:
    for name, rows in videos.items():
        np.savez(folder / f"{name}.npz", features=np.stack(rows.vectors), frame=np.array(rows.frames))
    return folder


def _hdf5(folder: Path, videos: Videos) -> Path:
    import h5py

    with h5py.File(folder / "all.h5", "w", track_order=True) as file:
        for name, rows in videos.items():
            group = file.create_group(name)
            group["features"], group["frame"] = np.stack(rows.vectors), np.array(rows.frames)
    return folder / "all.h5"


def by_frame(videos: Videos) -> dict[str, NDArray[Any]]:
    """`video/00001.jpg` -> vector. The second of two rows of one frame is in another folder."""
    found: dict[str, NDArray[Any]] = {}
    for name, rows in videos.items():
        for frame, vector in zip(rows.frames, rows.vectors, strict=True):
            key = f"{name}/{frame:05d}.jpg"
            found[key if key not in found else f"again/{key}"] = vector
    return found


def _torch(folder: Path, videos: Videos) -> Path:
    import torch

    torch.save({key: torch.from_numpy(vector) for key, vector in by_frame(videos).items()}, folder / "all.pt")
    return folder / "all.pt"


def _pickle(folder: Path, videos: Videos) -> Path:
    (folder / "all.pkl").write_bytes(pickle.dumps(by_frame(videos)))
    return folder / "all.pkl"


def _lists(videos: Videos) -> pa.Table:
    names = [name for name, rows in videos.items() for _ in rows.frames]
    frames = [frame for rows in videos.values() for frame in rows.frames]
    lists = [vector.tolist() for rows in videos.values() for vector in rows.vectors]
    return pa.table({"video": names, "frame": frames, "feature": pa.array(lists, pa.list_(pa.float32()))})


def _parquet(folder: Path, videos: Videos) -> Path:
    pq.write_table(_lists(videos), folder / "all.parquet", row_group_size=7)
    return folder / "all.parquet"


def _arrow(folder: Path, videos: Videos) -> Path:
    pyarrow.feather.write_feather(_lists(videos), str(folder / "all.arrow"), chunksize=7)
    return folder / "all.arrow"


def _csv(folder: Path, videos: Videos) -> Path:
    with (folder / "all.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["video", "frame", *(f"f{index}" for index in range(D))])
        for name, rows in videos.items():
            writer.writerows([name, frame, *vector] for frame, vector in zip(rows.frames, rows.vectors, strict=True))
    return folder / "all.csv"


def _openface(folder: Path, videos: Videos) -> Path:
    for name, rows in videos.items():
        with (folder / f"{name}.csv").open("w") as file:
            header = ["frame", "face_id", "timestamp", "confidence", "success", *(f"AU{k:02d}_r" for k in range(D))]
            print(", ".join(header), file=file)
            for frame, vector in zip(rows.frames, rows.vectors, strict=True):
                print(frame, 0, f"{(frame - 1) / FPS:.3f}", 0.98, 1, *vector, sep=", ", file=file)
    return folder


def _pyfeat(folder: Path, videos: Videos) -> Path:
    for name, rows in videos.items():
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["FaceScore", *(f"AU{k:02d}" for k in range(D)), "input", "frame", "approx_time"])
            for frame, vector in zip(rows.frames, rows.vectors, strict=True):
                writer.writerow([0.99, *vector, f"{name}.mp4", float(frame), "00:00"])
    return folder


WRITERS: dict[str, Callable[[Path, Videos], Path]] = {
    "npy": _npy,
    "npz": _npz,
    "hdf5": _hdf5,
    "pt": _torch,
    "pkl": _pickle,
    "parquet": _parquet,
    "arrow": _arrow,
    "csv": _csv,
    "openface": _openface,
    "pyfeat": _pyfeat,
}


def write(kind: str, root: Path, videos: Videos) -> str:
    """Write the videos to root/in; returns the path to import."""
    (root / "in").mkdir(parents=True, exist_ok=True)
    return str(WRITERS[kind](root / "in", videos))
