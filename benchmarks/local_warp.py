"""Faces warped per second, and the share of warping in a pre-training step.

Rates are the best and the median of several rounds. python benchmarks/local_warp.py [--device cuda]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch

from abaw.data.images import FaceImages
from abaw.models.architecture import Architecture
from abaw.models.image_input import ImageInput
from abaw.pretrain.contrawarping import build_contrawarping
from abaw.pretrain.local_warp import warp_at_random
from abaw.pretrain.settings import ContraWarpingSettings, WarpSettings


def seconds(function: Callable[[], object], rounds: int, device: torch.device) -> list[float]:
    """Wall seconds of each round, after a warm-up round."""
    found = []
    for number in range(rounds + 1):
        begun = time.perf_counter()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if number:
            found.append(time.perf_counter() - begun)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--size", type=int, default=112, help="side of the faces in pixels")
    parser.add_argument("--batch", type=int, default=64, help="faces per batch")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--backbone", default="resnet18", help="backbone of the timed step")
    words = parser.parse_args()
    device = torch.device(words.device)
    generator = torch.Generator(device).manual_seed(0)
    images = 255 * torch.rand(words.batch, 3, words.size, words.size, generator=generator, device=device)
    warp = WarpSettings()
    times = seconds(lambda: warp_at_random(images, warp, generator), words.rounds, device)
    rates = [words.batch / each for each in times]
    print(
        f"{words.size}x{words.size} on {device.type} ({torch.get_num_threads()} threads), batches of {words.batch}: "
        f"best {max(rates):.0f}, median {median(rates):.0f} warps per second"
    )
    method = build_contrawarping(
        Architecture(backbone=words.backbone), ImageInput(words.size), ContraWarpingSettings(), seed=0
    ).to(device)
    count = method.settings.warped
    names = tuple(map(str, range(words.batch)))
    faces = FaceImages(images.to(torch.uint8), torch.empty(0), torch.empty(0), names)

    def step() -> None:
        method(method.views(faces, generator)).loss.backward()

    whole = median(seconds(step, max(2, words.rounds // 5), device))
    repeated = images.repeat(count, 1, 1, 1)
    share = median(seconds(lambda: warp_at_random(repeated, warp, generator), words.rounds, device)) / whole
    print(
        f"step of {words.backbone}, {words.batch} faces: {whole:.3f} s; {count} warps per face take {share:.1%} of it"
    )


if __name__ == "__main__":
    main()
