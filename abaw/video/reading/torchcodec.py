"""The torchcodec reader, an optional extra: exact frames in order, decoded by the system's FFmpeg libraries."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from abaw.core.errors import ConfigError, DataError
from abaw.video.reading.container import choose_stream, open_container, read_header
from abaw.video.reading.frames import VideoFrame, VideoReader
from abaw.video.reading.geometry import geometry_of, squared

_BATCH = 8
_ADVICE = "use the pyav reader, which keeps count of damaged frames"
_INSTEAD = "or omit --reader"


class TorchCodecReader(VideoReader):
    """Frames in batches, in order, from the index of all packets that torchcodec builds when it opens the file.

    Frames hidden by an edit list are not in that index, and torchcodec applies the rotation. It stops at the first
    damaged packet, which becomes a DataError. Raises ConfigError if torchcodec cannot be loaded.
    """

    def __init__(self, path: Path, square_pixels: bool = True) -> None:
        decoder = load_decoder()
        with open_container(path) as container:
            stream, about_streams = choose_stream(container)
            super().__init__(path, read_header(stream, path))
            self.hidden_frames = sum(packet.is_discard for packet in container.demux(stream))
        with open_container(path) as container:
            orientation, aspect, notes = geometry_of(container, choose_stream(container)[0])
            if orientation.is_mirror_image:
                raise DataError(f"{path}: its display matrix asks for a mirror image; read it with the pyav reader")
            options = {"stream_index": stream.index, "dimension_order": "NHWC", "seek_mode": "exact"}
        # torchcodec turns the pictures itself.
        self._aspect = Fraction(1) if not square_pixels else 1 / aspect if orientation.transpose else aspect
        self.notes += filter(None, (about_streams, *(notes if square_pixels else ())))
        try:
            self._decoder: Any = decoder(str(path), num_ffmpeg_threads=1, **options)
        except (RuntimeError, ValueError) as error:
            raise DataError(f"{path}: torchcodec cannot open it, it may be damaged; {_ADVICE}") from error

    def close(self) -> None:
        self._decoder = None

    def _frames(self) -> Iterator[VideoFrame]:
        total = len(self._decoder)
        index = 0
        while index < total:
            try:
                batch = self._decoder.get_frames_in_range(index, min(index + _BATCH, total))
            except (RuntimeError, IndexError) as error:
                raise DataError(f"{self.path}: torchcodec stopped after frame {index} of {total}; {_ADVICE}") from error
            for image, time_s in zip(batch.data.numpy(), batch.pts_seconds.tolist(), strict=True):
                index += 1
                yield VideoFrame(index, round(time_s, 6), squared(image, self._aspect))


READER = TorchCodecReader


def load_decoder() -> Any:
    """torchcodec's decoder class. Raises ConfigError with what is missing and what to do."""
    try:
        package = import_module("torchcodec")
    except ImportError as error:
        raise ConfigError(
            f"--reader torchcodec: torchcodec is not installed; `pip install 'abaw[torchcodec]'`, {_INSTEAD}"
        ) from error
    except (OSError, RuntimeError) as error:  # earlier versions load FFmpeg here
        raise _unloadable() from error
    if package.ffmpeg_major_version is None:
        raise _unloadable()
    return import_module("torchcodec.decoders").VideoDecoder


def _unloadable() -> ConfigError:
    return ConfigError(
        f"--reader torchcodec: torchcodec {version('torchcodec')} is installed but cannot be loaded. It needs the "
        "shared libraries of FFmpeg 4 or later (libavcodec and others), which no Python package provides, "
        f"and must match PyTorch {version('torch')}. Install FFmpeg (conda install -c conda-forge ffmpeg, or apt "
        f"install ffmpeg) and the torchcodec version for this PyTorch, {_INSTEAD}"
    )
