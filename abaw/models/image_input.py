"""What a static model expects of its images; reading it from a spec loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from abaw.core.errors import ConfigError
from abaw.core.typed import from_plain
from abaw.stores.crop import Crop
from abaw.stores.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor

IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)
_LUMA = (0.299, 0.587, 0.114)
_MAX_SIZE = 2048


def luma(images: Tensor) -> Tensor:
    """RGB images (B, 3, S, S) -> grey (B, 1, S, S), by ITU-R BT.601."""
    weights = images.new_tensor(_LUMA).view(1, 3, 1, 1)
    return (images * weights).sum(1, keepdim=True)


@dataclass(frozen=True, slots=True)
class ImageInput:
    """What a static model expects: `size` × `size` pixels, RGB in 0..1, then (x − mean) / std per channel.

    grey: every channel holds the grey image, so a model trained on grey photos also works on colour video; crop: the
    kind of crop it was trained on, None if any will do (specs of earlier versions). Raises ConfigError for a size
    outside 16..2048 and for a std that is not above 0.
    """

    size: int
    grey: bool = False
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    crop: Crop | None = None

    def __post_init__(self) -> None:
        if self.size < 16:
            raise ConfigError(f"image size {self.size} is too small for an expression; expected at least 16 pixels")
        if self.size > _MAX_SIZE:
            raise ConfigError(f"image size {self.size} is too large; expected at most {_MAX_SIZE} pixels")
        if not min(self.std) > 0:
            raise ConfigError(f"std {list(self.std)}: expected numbers above 0")

    def normalise(self, images: Tensor) -> Tensor:
        """Standardise images (B, 3, S, S), RGB in 0..1; channels last in memory, which is faster for convolutions."""
        # Loaded on use: a spec is read without it.
        import torch

        if self.grey:
            images = luma(images).expand_as(images)
        mean = torch.tensor(self.mean, device=images.device).view(1, 3, 1, 1)
        std = torch.tensor(self.std, device=images.device).view(1, 3, 1, 1)
        return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


def image_input(spec: Spec) -> ImageInput:
    """What the checkpoint's model expects. Raises ValueError for other keys or types of values."""
    return from_plain(ImageInput, spec.input, "input")
