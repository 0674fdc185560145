"""Pooling by several local attention maps, one of which is left out in training. B batch, D feature, K maps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from abaw.core.data_parallel import drawn_for_all
from abaw.core.errors import ConfigError

_REDUCTION = 4


class MeanPool(nn.Module):
    """Maps (B, D, H, W) -> (B, D, 1, 1): the mean over all positions."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.mean(dim=(2, 3), keepdim=True)


class LocalAttentionPool(nn.Module):
    """Maps (B, D, H, W) -> (B, D, 1, 1): the mean over all positions, each weighted by its highest attention.

    `a_k = 2 sigmoid(v_k · relu(W_k maps))` with D / 4 hidden channels per map; a position's weight is the maximum over
    k. In training one random map per image is left out, to avoid relying on a single region (arXiv 2601.05556; the form
    follows the attention dropping of arXiv 2108.11116; our reading). v starts at 0, where all weights are 1: a new pool
    is the mean and can follow a network that was trained without it. Raises ConfigError for fewer than 2 maps.
    """

    def __init__(self, width: int, maps: int) -> None:
        super().__init__()
        if maps < 2:
            raise ConfigError(f"attention_maps is {maps}; expected at least 2, since one is left out in training")
        hidden = max(1, width // _REDUCTION)
        self.maps = maps
        self.hidden = nn.Sequential(nn.Conv2d(width, maps * hidden, 1), nn.ReLU(inplace=True))
        self.score = nn.Conv2d(maps * hidden, maps, 1, groups=maps)
        for weight in self.score.parameters():
            nn.init.zeros_(weight)
        self.drop = True

    def attention(self, maps: Tensor) -> Tensor:
        """Maps (B, D, H, W) -> attention (B, K, H, W) in 0..2, with all maps."""
        attention: Tensor = 2 * torch.sigmoid(self.score(self.hidden(maps)))
        return attention

    def forward(self, maps: Tensor) -> Tensor:
        attention = self.attention(maps)
        if self.training and self.drop:
            dropped = drawn_for_all(lambda size: torch.randint(self.maps, (size, 1), device=maps.device), len(maps))
            kept = torch.arange(self.maps, device=maps.device) != dropped
            attention = attention * kept[:, :, None, None]
        return (maps * attention.amax(1, keepdim=True)).mean(dim=(2, 3), keepdim=True)


def attend(backbone: nn.Module, size: int, maps: int, name: str) -> None:
    """Replace the backbone's last pooling by attention. size: of its images, in pixels.

    Raises ConfigError when no module of the backbone is such a pooling, as in vision transformers.
    """
    pools = [path for path, each in backbone.named_modules() if isinstance(each, MeanPool | nn.AdaptiveAvgPool2d)]
    if not pools:
        raise ConfigError(
            f"backbone {name} has no mean over feature maps for attention to replace; set attention_maps to 0, or "
            "choose small, medium or a resnet"
        )
    parent, _, leaf = pools[-1].rpartition(".")
    setattr(backbone.get_submodule(parent), leaf, LocalAttentionPool(_width(backbone, pools[-1], size), maps))


@torch.no_grad()
def _width(backbone: nn.Module, path: str, size: int) -> int:
    """D of the maps that the module at `path` receives, measured with one image."""
    seen: list[int] = []
    handle = backbone.get_submodule(path).register_forward_pre_hook(lambda _, maps: seen.append(maps[0].shape[1]))
    backbone.eval()(torch.zeros(1, 3, size, size))
    backbone.train()
    handle.remove()
    return seen[0]


def attention_of(module: nn.Module) -> LocalAttentionPool | None:
    """The attention pool in `module`, or None."""
    return next((each for each in module.modules() if isinstance(each, LocalAttentionPool)), None)
