"""Pooling by several local attention maps, of which training leaves one out. B batch, D feature, K maps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from abaw.core.errors import ConfigError

_REDUCTION = 4


class MeanPool(nn.Module):
    """Maps (B, D, H, W) -> (B, D, 1, 1): the mean over the places."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.mean(dim=(2, 3), keepdim=True)


class LocalAttentionPool(nn.Module):
    """Maps (B, D, H, W) -> (B, D, 1, 1): the mean over the places, each weighted by its highest attention.

    `a_k = 2 sigmoid(v_k · relu(W_k maps))`, D / 4 hidden channels a map; weight of a place: the maximum over k. In
    training one map of each image, drawn at random, is left out, so that no single region is relied on (arXiv
    2601.05556; the form after the attention dropping of arXiv 2108.11116; our reading). v starts at 0, where all
    weights are 1: the pool starts as the mean and fits behind a network that was trained without it.
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
        """Maps (B, D, H, W) -> attention (B, K, H, W), 0..2, none left out."""
        attention: Tensor = 2 * torch.sigmoid(self.score(self.hidden(maps)))
        return attention

    def forward(self, maps: Tensor) -> Tensor:
        attention = self.attention(maps)
        if self.training and self.drop:
            out = torch.randint(self.maps, (len(maps), 1), device=maps.device)
            left = torch.arange(self.maps, device=maps.device) != out
            attention = attention * left[:, :, None, None]
        return (maps * attention.amax(1, keepdim=True)).mean(dim=(2, 3), keepdim=True)


def attend(backbone: nn.Module, size: int, maps: int, name: str) -> None:
    """Put attention in the place of the backbone's last pooling; size: of its images, for a trial.

    Raises ConfigError when it has none that is a module of its own, as networks that see patches.
    """
    pools = [path for path, each in backbone.named_modules() if isinstance(each, MeanPool | nn.AdaptiveAvgPool2d)]
    if not pools:
        raise ConfigError(
            f"backbone {name} has no mean over feature maps whose place attention could take; set attention_maps to 0, "
            "or choose small, medium or a resnet"
        )
    parent, _, leaf = pools[-1].rpartition(".")
    setattr(backbone.get_submodule(parent), leaf, LocalAttentionPool(_width(backbone, pools[-1], size), maps))


@torch.no_grad()
def _width(backbone: nn.Module, path: str, size: int) -> int:
    """D of the maps that the module of that path is given, from a trial with one image."""
    seen: list[int] = []
    handle = backbone.get_submodule(path).register_forward_pre_hook(lambda _, maps: seen.append(maps[0].shape[1]))
    backbone.eval()(torch.zeros(1, 3, size, size))
    backbone.train()
    handle.remove()
    return seen[0]


def attention_of(module: nn.Module) -> LocalAttentionPool | None:
    """The attention in `module`, None without."""
    return next((each for each in module.modules() if isinstance(each, LocalAttentionPool)), None)
