"""Packs the data of `on_gpu.sh` into one file of at most 60 MiB, to take to a machine with a GPU.

    python benchmarks/pack_for_gpu.py --ferplus ferplus.zip --lfw lfw.zip --clips CLIP.mp4... --out pack.zip

FER+ photos and their table (`votes.csv`) are kept whole, as grey JPEGs of 48 pixels; LFW photos are reduced to grey
JPEGs of 112 pixels; clips are copied. When that is larger than --max_mib, LFW photos are left out, then FER+ photos of
the split `train`, evenly spread over the set.
"""

from __future__ import annotations

import argparse
import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from abaw.core.artifacts import atomic_path

_QUALITY = 85
_LFW_PIXELS = 112
_MIB = 2**20
_ENTRY_BYTES = 160  # of a zip, per file, besides its content
_SUFFIXES = (".jpg", ".jpeg", ".png")

Photos = dict[str, bytes]


def pack(ferplus: Path, lfw: Path, clips: Sequence[Path], out: Path, max_mib: float) -> dict[str, int]:
    """Returns how many photos of each set are in the pack."""
    rows, photos = _read_ferplus(ferplus)
    others = {f"lfw/{PurePosixPath(name).stem}.jpg": _jpeg(data, _LFW_PIXELS) for name, data in _photos(lfw)}
    budget = max_mib * _MIB - sum(clip.stat().st_size + _ENTRY_BYTES for clip in clips) - _MIB  # the table and the rest
    others = _thinned(others, budget - _size(photos))
    valid = {name for name, row in rows.items() if row["split"] != "train"}
    kept = {name: photos[name] for name in photos if name in valid}
    kept |= _thinned({name: photos[name] for name in photos if name not in valid}, budget - _size(others) - _size(kept))
    with atomic_path(out) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("ferplus/votes.csv", _table([rows[name] for name in kept]), zipfile.ZIP_DEFLATED)
        for name, data in [*((f"ferplus/images/{name}", data) for name, data in kept.items()), *others.items()]:
            archive.writestr(name, data)
        for clip in clips:
            archive.write(clip, f"clips/{clip.name}")
    return {"ferplus": len(kept), "lfw": len(others), "clips": len(clips)}


def _read_ferplus(path: Path) -> tuple[dict[str, dict[str, str]], Photos]:
    """The rows of votes.csv and the photos, by the name of the photo as JPEG."""
    with zipfile.ZipFile(path) as archive:
        table = next(name for name in archive.namelist() if name.endswith("votes.csv"))
        lines = archive.read(table).decode().splitlines()
    rows = {}
    for row in csv.DictReader(lines):
        row["image"] = f"{PurePosixPath(row['image']).stem}.jpg"
        rows[row["image"]] = row
    photos = {f"{PurePosixPath(name).stem}.jpg": _jpeg(data) for name, data in _photos(path)}
    return rows, {name: photos[name] for name in rows if name in photos}


def _photos(path: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.lower().endswith(_SUFFIXES):
                yield name, archive.read(name)


def _jpeg(data: bytes, pixels: int | None = None) -> bytes:
    grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if pixels is not None:
        grey = cv2.resize(grey, (pixels, pixels), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1])[1].tobytes()


def _size(photos: Photos) -> int:
    return sum(len(data) + _ENTRY_BYTES for data in photos.values())


def _thinned(photos: Photos, budget: float) -> Photos:
    """As many as fit into the budget in bytes, evenly spread."""
    whole = _size(photos)
    if whole <= budget or not photos:
        return photos
    number = int(len(photos) * max(0.0, budget) / whole * 0.99)
    names = list(photos)
    chosen = np.linspace(0, len(names) - 1, number).astype(int)
    return {names[index]: photos[names[index]] for index in chosen}


def _table(rows: Sequence[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ferplus", type=Path, required=True, help="zip with images/ and votes.csv")
    parser.add_argument("--lfw", type=Path, required=True, help="zip of photos")
    parser.add_argument("--clips", type=Path, nargs="*", default=[], help="videos of faces")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--max_mib", type=float, default=60.0)
    options = parser.parse_args(words)
    counts = pack(options.ferplus, options.lfw, options.clips, options.out, options.max_mib)
    size = options.out.stat().st_size / _MIB
    print(f"{options.out}: {size:.1f} MiB, " + ", ".join(f"{count} of {name}" for name, count in counts.items()))
    return int(size > options.max_mib)


if __name__ == "__main__":
    raise SystemExit(main())
