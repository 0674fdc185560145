"""The temporal model: frozen per-frame features -> Transformer encoder -> per-frame logits.

An optional stem, a depthwise convolution over time that starts as a mean, mixes neighbouring frames first: with few
training videos the encoder alone learns people by heart before it learns to average (our reading of the "small TCN").
Pre-norm encoder with rotary positions (arXiv 2104.09864): a frame's logits depend on distances between frames, not on
where a window happens to begin, and any window length fits. Each head prefers near frames, each at its own rate
(arXiv 2108.12409), so that few videos are enough to learn to look at the neighbours.
Shapes: B batch, T time, C class, D feature.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from abaw.core.seed import derive_seed
from abaw.models.sizes import TransformerSize
from abaw.stores.checkpoints import CheckpointError, Spec, load_checkpoint

_ARCHITECTURE = "transformer"
_ROTARY_BASE = 10_000.0
_FEED_FORWARD = 4


class TemporalTransformer(nn.Module):
    """Logits of every frame of a window from the features of all its frames.

    feature_mean, feature_std: (D,) of the training features, kept with the weights.
    """

    feature_mean: Tensor
    feature_std: Tensor

    def __init__(self, size: TransformerSize, feature_dim: int, num_classes: int) -> None:
        super().__init__()
        self.register_buffer("feature_mean", torch.zeros(feature_dim))
        self.register_buffer("feature_std", torch.ones(feature_dim))
        self.embed = nn.Linear(feature_dim, size.width)
        self.mask_token = nn.Parameter(torch.randn(size.width) * 0.02)
        self.stem = _stem(size) if size.stem else None
        self.blocks = nn.ModuleList(_Block(size) for _ in range(size.layers))
        self.norm = nn.LayerNorm(size.width)
        self.head = nn.Linear(size.width, num_classes)
        self._heads, self._head_width = size.heads, size.width // size.heads

    def forward(self, features: Tensor, present: Tensor, inside: Tensor) -> Tensor:
        """features: (B, T, D); present: (B, T) False where no face was found or the frame is hidden: the learned mask
        token stands there; inside: (B, T) False for padding, which no frame looks at. Returns (B, T, C).

        A window must hold at least one frame that is no padding.
        """
        standard = (features.float() - self.feature_mean) / self.feature_std
        tokens = torch.where(present[..., None], self.embed(standard), self.mask_token)
        if self.stem is not None:
            tokens = self.stem((tokens * inside[..., None]).transpose(1, 2)).transpose(1, 2)
        rotation = _rotation(tokens.shape[1], self._head_width, tokens.device)
        bias = _attention_bias(inside, self._heads)
        for block in self.blocks:
            tokens = block(tokens, rotation, bias)
        logits: Tensor = self.head(self.norm(tokens))
        return logits

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Take mean and standard deviation (D,) of the training features.

        Features that hardly vary in training are not blown up: none is scaled by more than 10 times the average.
        """
        self.feature_mean.copy_(mean)
        floor = 0.1 * std.mean()
        self.feature_std.copy_(std.clamp_min(floor) if floor > 0 else torch.ones_like(std))


def _stem(size: TransformerSize) -> nn.Conv1d:
    """(B, width, T) -> (B, width, T): the mean over `size.stem` frames, until training changes the weights."""
    stem = nn.Conv1d(size.width, size.width, size.stem, padding=size.stem // 2, groups=size.width, bias=False)
    nn.init.constant_(stem.weight, 1 / size.stem)
    return stem


class _Block(nn.Module):
    """Pre-norm self-attention and feed-forward, each with a residual."""

    def __init__(self, size: TransformerSize) -> None:
        super().__init__()
        self.heads = size.heads
        self.norm_attention = nn.LayerNorm(size.width)
        self.query_key_value = nn.Linear(size.width, 3 * size.width)
        self.project = nn.Linear(size.width, size.width)
        self.norm_feed = nn.LayerNorm(size.width)
        self.feed = nn.Sequential(
            nn.Linear(size.width, _FEED_FORWARD * size.width),
            nn.GELU(),
            nn.Linear(_FEED_FORWARD * size.width, size.width),
        )
        self.drop = nn.Dropout(size.dropout)

    def forward(self, tokens: Tensor, rotation: tuple[Tensor, Tensor], bias: Tensor) -> Tensor:
        """tokens: (B, T, width); bias: (B, heads, T, T), added to the attention's scores."""
        tokens = tokens + self.drop(self._attend(self.norm_attention(tokens), rotation, bias))
        fed: Tensor = tokens + self.drop(self.feed(self.norm_feed(tokens)))
        return fed

    def _attend(self, tokens: Tensor, rotation: tuple[Tensor, Tensor], bias: Tensor) -> Tensor:
        batch, time, width = tokens.shape
        parts = self.query_key_value(tokens).view(batch, time, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        # No dropout on the attention weights: it would rule out the fast kernels.
        mixed = F.scaled_dot_product_attention(
            _rotate(query, rotation), _rotate(key, rotation), value, attn_mask=bias.to(query.dtype)
        )
        projected: Tensor = self.project(mixed.transpose(1, 2).reshape(batch, time, width))
        return projected


def _attention_bias(inside: Tensor, heads: int) -> Tensor:
    """(B, heads, T, T): what each frame's look at each other is lowered by; minus infinity at padding.

    inside: (B, T). Head k of H loses 2^(-8k/H) a frame of distance: of four heads, the first 1/4, the last 1/256.
    """
    batch, time = inside.shape
    places = torch.arange(time, device=inside.device, dtype=torch.float32)
    rates = 2.0 ** (-8 * torch.arange(1, heads + 1, device=inside.device, dtype=torch.float32) / heads)
    bias = -rates[:, None, None] * (places[:, None] - places).abs()
    if bool(inside.all()):
        return bias.expand(batch, -1, -1, -1)
    return bias.masked_fill(~inside[:, None, None, :], float("-inf"))


def _rotation(time: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine (T, width / 2) of the angle by which each pair of numbers is turned at each frame."""
    rates = _ROTARY_BASE ** (-torch.arange(0, width, 2, device=device, dtype=torch.float32) / width)
    angles = torch.arange(time, device=device, dtype=torch.float32)[:, None] * rates
    return angles.cos(), angles.sin()


def _rotate(values: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """values: (B, heads, T, width); the first half of the last axis is paired with the second."""
    cosine, sine = (part.to(values.dtype) for part in rotation)
    first, second = values.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)


def temporal_spec(
    size: TransformerSize,
    *,
    window: int,
    hop: int,
    feature_dim: int,
    classes: tuple[str, ...],
    backbone: str,
    training: Mapping[str, Any],
) -> Spec:
    """What travels with a temporal model's weights. backbone: `weights_id` of the static checkpoint of the features."""
    return Spec(
        kind="temporal",
        architecture={"name": _ARCHITECTURE, **asdict(size)},
        classes=classes,
        feature_dim=feature_dim,
        input={"window": window, "hop": hop, "backbone": backbone},
        training=training,
    )


def build_temporal(spec: Spec, *, seed: int) -> TemporalTransformer:
    """The model a spec describes, with weights drawn from `seed`.

    Raises CheckpointError for an architecture that is not known here.
    """
    arguments = dict(spec.architecture)
    name = arguments.pop("name", None)
    if name != _ARCHITECTURE:
        raise CheckpointError(f"temporal architecture '{name}' is not known; this version builds '{_ARCHITECTURE}'")
    try:
        size = TransformerSize(**arguments)
    except TypeError as error:
        raise CheckpointError(f"the architecture {arguments} was written by another version ({error})") from error
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        return TemporalTransformer(size, spec.feature_dim, len(spec.classes))


def load_temporal(folder: Path) -> tuple[TemporalTransformer, Spec]:
    """A trained temporal model, ready to predict on the CPU, and its spec.

    Raises CheckpointError when the checkpoint is missing, damaged, static, or its weights do not fit its spec.
    """
    checkpoint = load_checkpoint(folder, "temporal")
    model = build_temporal(checkpoint.spec, seed=0)
    try:
        model.load_state_dict(checkpoint.weights)
    except RuntimeError as error:
        raise CheckpointError(f"{folder}: the weights do not fit the spec: {error}") from error
    return model.eval(), checkpoint.spec
