"""Sizes of models, separate from the models: reading a config must not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from abaw.core.errors import ConfigError


@dataclass(frozen=True)
class TransformerSize:
    """Shape of the temporal encoder.

    Raises ConfigError when the width is not a multiple of 2 x heads (rotary positions turn pairs of numbers), the stem
    is even, or a number is out of range.

    Args:
        layers: encoder blocks
        heads: attention heads per block
        width: width of the vector per frame inside the encoder
        dropout: share of numbers dropped in training
        stem: length of a convolution before the encoder, in frames (odd), which starts as their mean; 0 leaves it out
        stem_mean: what convolutions over time do at the ends of a window: inside, the stem's mean divides by the number
            of frames inside, and the tcn continues the first and the last frame; full, both see zeros beyond the ends,
            which draws the outputs there towards zero (earlier versions)
        tcn: number of residual convolutions over time before the encoder (kernel 5, dilation doubled each time); 0
            leaves them out
        delta: also use the change of each feature over this many frames on either side; 0 leaves it out
        positions: rotary fits any window length, learned has one vector per place of the training window
        distance_bias: each head prefers near frames, at its own rate
        fusion: how several sources are combined per frame: concat adds a projection of each, which is one projection
            of all features side by side; gated weighs the sources that are present (arXiv 1702.01992);
            cross_attention first lets each source attend to the others over time (arXiv 1906.00295); all the same with
            one source
        start: what the outputs of the classes start from: log_probs, the log-probabilities of the static model, to
            which a correction is added that is zero before training (one source must be its logits); nothing
        correction: what that correction may depend on: neighbours, only on how the frames around differ from the frame
            itself, so that a face that does not change keeps the static model's output; free, on anything (earlier
            versions)
        causal: a frame sees no later frames, for live use
    """

    layers: int = 2
    heads: int = 4
    width: int = 128
    dropout: float = 0.1
    stem: int = 0
    stem_mean: Literal["inside", "full"] = "inside"
    tcn: int = 0
    delta: int = 0
    positions: Literal["rotary", "learned"] = "rotary"
    distance_bias: bool = True
    fusion: Literal["concat", "gated", "cross_attention"] = "concat"
    start: Literal["nothing", "log_probs"] = "nothing"
    correction: Literal["neighbours", "free"] = "neighbours"
    causal: bool = False

    def __post_init__(self) -> None:
        if min(self.layers, self.heads, self.width) < 1:
            raise ConfigError(f"layers {self.layers}, heads {self.heads} and width {self.width} must be at least 1")
        if self.stem < 0 or (self.stem and self.stem % 2 == 0):
            raise ConfigError(f"stem {self.stem} must be 0 or an odd number of frames: it is centred on each frame")
        if min(self.tcn, self.delta) < 0:
            raise ConfigError(f"tcn {self.tcn} and delta {self.delta} must be 0 or more")
        if self.width % (2 * self.heads):
            raise ConfigError(f"width {self.width} must be a multiple of 2 x heads = {2 * self.heads}")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout {self.dropout} must be at least 0 and below 1")
