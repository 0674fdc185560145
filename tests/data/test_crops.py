"""Crops: where each format is decoded, and that every path returns the same image."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchvision.io import ImageReadMode, decode_jpeg

from abaw.core.errors import DataError
from abaw.data import crops
from abaw.data.crops import decode_crops
from abaw.data.decoding import decode_crop

CPU = torch.device("cpu")
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="decoding on a GPU needs one; none is there")


def smooth(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """A colour picture without sharp edges, BGR."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def encode(image: NDArray[np.uint8], kind: str = ".jpg") -> bytes:
    return bytes(cv2.imencode(kind, image)[1].tobytes())


def names(jpegs: Sequence[bytes]) -> list[str]:
    return [f"store:{index}" for index in range(len(jpegs))]


@pytest.mark.parametrize("grey", [False, True])
def test_opencv_and_torchvision_give_the_same_pixels(grey: bool) -> None:
    """Hence only speed decides between them on a CPU."""
    images = [smooth(48, 48, seed) for seed in range(5)]
    jpegs = [encode(image[..., 0] if grey else image) for image in images]
    by_torchvision = [
        decode_jpeg(torch.frombuffer(bytearray(jpeg), dtype=torch.uint8), ImageReadMode.RGB) for jpeg in jpegs
    ]
    assert torch.equal(decode_crops(jpegs, 48, names(jpegs)), torch.stack(by_torchvision))


def test_png_keeps_its_pixels_and_order() -> None:
    images = [smooth(16, 16, seed) for seed in range(3)]
    batch = decode_crops([encode(image, ".png") for image in images], 16, names([b""] * 3))
    assert (batch.dtype, batch.is_contiguous()) == (torch.uint8, True)
    for decoded, image in zip(batch, images, strict=True):
        assert (decoded.permute(1, 2, 0).numpy() == image[..., ::-1]).all()


@pytest.mark.parametrize("shape", [(16, 16), (64, 64), (40, 30), (20, 50), (32, 32)])
def test_any_shape_is_resized_to_the_requested_size(shape: tuple[int, int]) -> None:
    """The whole crop is resized to a square: corners stay corners."""
    image = smooth(*shape)
    decoded = decode_crops([encode(image, ".png")], 32, ["a"])[0].permute(1, 2, 0).numpy().astype(int)
    assert decoded.shape == (32, 32, 3)
    for row, column in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        assert np.abs(decoded[row, column] - image[row, column, ::-1]).max() <= 20


def test_an_empty_batch() -> None:
    assert decode_crops([], 32, []).shape == (0, 3, 32, 32)


@pytest.mark.parametrize("damaged", [b"", b"no picture", b"\xff\xd8\xff\xe0 no more than a start"])
def test_a_damaged_crop_is_named(damaged: bytes) -> None:
    jpegs = [encode(smooth(16, 16)), damaged, encode(smooth(16, 16))]
    with pytest.raises(DataError, match="store:1: its crop is not a readable image"):
        decode_crops(jpegs, 16, names(jpegs))


def test_there_must_be_one_name_per_crop() -> None:
    with pytest.raises(ValueError, match="shorter"):
        decode_crops([encode(smooth(16, 16))] * 2, 16, ["one"])


def test_threads_decode_the_same_as_one_thread() -> None:
    parts = [[encode(smooth(40, 40, 10 * part + seed)) for seed in range(10)] for part in range(8)]
    with ThreadPoolExecutor(4) as executor:
        found = list(executor.map(lambda part: decode_crops(part, 24, names(part)), parts))
    for batch, part in zip(found, parts, strict=True):
        assert torch.equal(batch, decode_crops(part, 24, names(part)))


# The GPU path: torchvision decodes whole batches. It also runs on a CPU, except for the decoder itself.


def test_a_batch_of_several_shapes_keeps_its_order() -> None:
    shapes = [(32, 32), (60, 60), (32, 32), (20, 44), (60, 60)]
    jpegs = [encode(smooth(*shape, seed)) for seed, shape in enumerate(shapes)]
    together = crops._decode_together(jpegs, 32, names(jpegs), CPU).int()
    alone = decode_crops(jpegs, 32, names(jpegs)).int()
    assert torch.equal(together[[0, 2]], alone[[0, 2]])
    # It weights neighbours differently from OpenCV when shrinking; a different image would differ far more.
    assert (together - alone).abs().float().mean(dim=(1, 2, 3)).max() < 2
    assert (together - alone.roll(1, 0)).abs().float().mean(dim=(1, 2, 3)).min() > 20


def test_a_damaged_crop_in_a_batch_is_named() -> None:
    jpegs = [encode(smooth(16, 16)), b"\xff\xd8\xff\xe0 no more than a start"]
    with pytest.raises(DataError, match="store:1: its crop is not a readable image"):
        crops._decode_together(jpegs, 16, names(jpegs), CPU)


def test_other_failures_of_the_decoder_are_raised_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr("torchvision.io.decode_jpeg", fail)
    with pytest.raises(torch.OutOfMemoryError):
        crops._decode_together([encode(smooth(16, 16))], 16, ["a"], CPU)


@GPU
def test_a_gpu_decodes_the_same_images() -> None:
    jpegs = [encode(smooth(112, 112, seed), ".png" if seed == 2 else ".jpg") for seed in range(6)]
    found = decode_crops(jpegs, 112, names(jpegs), "cuda")
    assert found.device.type == "cuda" and found.dtype == torch.uint8
    expected = decode_crops(jpegs, 112, names(jpegs))
    assert torch.equal(found[2].cpu(), expected[2])
    assert (found.cpu().int() - expected.int()).abs().max() <= 8


@GPU
def test_a_gpu_names_a_damaged_crop() -> None:
    for damaged in (b"", b"\xff\xd8\xff\xe0 no more than a start"):
        jpegs = [encode(smooth(112, 112)), damaged]
        with pytest.raises(DataError, match="store:1: its crop is not a readable image"):
            decode_crops(jpegs, 112, names(jpegs), "cuda")


def test_a_single_crop_is_an_array_of_pixels() -> None:
    image = smooth(16, 16)
    assert (decode_crop(encode(image, ".png"), 16, "a") == image[..., ::-1]).all()
