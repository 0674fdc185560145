"""The temporal model: frozen per-frame features -> Transformer encoder -> per-frame outputs.

Optional parts come first (abaw.models.stem): changes of the features, a convolution that starts as a mean, a small TCN.
A pre-norm encoder follows. With rotary positions (arXiv 2104.09864) a frame's logits depend on distances between
frames, not on where the window begins, and any window length works; learned positions are the alternative. Each head
prefers near frames, at its own rate (arXiv 2108.12409): few videos are enough to learn to use the neighbours.
Shapes: B batch, T time, D feature, O outputs (abaw.models.tasks).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from abaw.core.errors import ConfigError
from abaw.core.seed import derive_seed
from abaw.core.typed import from_plain
from abaw.models.attention import Block, attention_bias, rotation
from abaw.models.sizes import TransformerSize
from abaw.models.stem import MeanStem, Tcn, changes
from abaw.models.tasks import NUM_OUTPUTS, ordered_tasks
from abaw.stores.checkpoints import Checkpoint, load_checkpoint, misfit, require_shapes
from abaw.stores.spec import CheckpointError, Spec

_ARCHITECTURE = "transformer"


class TemporalTransformer(nn.Module):
    """The outputs of every frame of a window, from the features of all its frames.

    window: the longest window that learned positions cover; feature_mean, feature_std: (D,), of the training features,
    stored with the weights.
    """

    feature_mean: Tensor
    feature_std: Tensor

    def __init__(self, size: TransformerSize, feature_dim: int, num_outputs: int, window: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("feature_mean", torch.zeros(feature_dim))
        self.register_buffer("feature_std", torch.ones(feature_dim))
        self.embed = nn.Linear(feature_dim * (2 if size.delta else 1), size.width)
        self.mask_token = nn.Parameter(torch.randn(size.width) * 0.02)
        self.stem = MeanStem(size.width, size.stem, causal=size.causal) if size.stem else None
        self.tcn = Tcn(size.width, size.tcn, size.dropout, causal=size.causal) if size.tcn else None
        learned = size.positions == "learned"
        self.positions = nn.Parameter(torch.randn(window, size.width) * 0.02) if learned else None
        self.blocks = nn.ModuleList(Block(size) for _ in range(size.layers))
        self.norm = nn.LayerNorm(size.width)
        self.head = nn.Linear(size.width, num_outputs)

    def forward(self, features: Tensor, present: Tensor, inside: Tensor) -> Tensor:
        """Features (B, T, D) -> outputs (B, T, O).

        present: (B, T), False where no face was found or the frame is masked: the learned mask token is used there;
        inside: (B, T), False for padding, which no frame attends to. A window must not begin with padding. Raises
        ValueError when T exceeds the learned positions.
        """
        time = features.shape[1]
        tokens = self._tokens(features, present, inside)
        turns = None
        if self.positions is None:
            turns = rotation(time, self.size.width // self.size.heads, tokens.device)
        elif time > len(self.positions):
            raise ValueError(f"a window of {time} frames, but positions were learned for {len(self.positions)}")
        else:
            tokens = tokens + self.positions[:time]
        bias = attention_bias(inside, self.size)
        for block in self.blocks:
            tokens = block(tokens, turns, bias)
        outputs: Tensor = self.head(self.norm(tokens))
        return outputs

    def _tokens(self, features: Tensor, present: Tensor, inside: Tensor) -> Tensor:
        """The encoder's input, (B, T, width)."""
        standard = (features.float() - self.feature_mean) / self.feature_std
        if self.size.delta:
            known = present & inside
            change = changes(standard, known, self.size.delta, causal=self.size.causal)
            standard = torch.cat([standard, change], dim=-1)
        tokens = torch.where(present[..., None], self.embed(standard), self.mask_token)
        if self.stem is not None:
            tokens = self.stem(tokens, inside)
        return self.tcn(tokens, inside) if self.tcn is not None else tokens

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Store the mean and the standard deviation, (D,), of the training features.

        Features that hardly vary in training are not blown up: the deviation used is at least 0.1 of the average one.
        """
        self.feature_mean.copy_(mean)
        floor = 0.1 * std.mean()
        self.feature_std.copy_(std.clamp_min(floor) if floor > 0 else torch.ones_like(std))


def temporal_spec(
    size: TransformerSize,
    *,
    window: int,
    hop: int,
    feature_dim: int,
    classes: tuple[str, ...],
    backbone: str,
    training: Mapping[str, Any],
    tasks: Sequence[str] = ("expression",),
) -> Spec:
    """The spec stored with a temporal model's weights.

    window, hop: in frames; classes: empty without expression; feature_dim: D; backbone: `weights_id` of the static
    checkpoint that made the features, joined by `+` for several sources. Raises ConfigError as `ordered_tasks` does.
    """
    return Spec(
        kind="temporal",
        architecture={"name": _ARCHITECTURE, **asdict(size), "tasks": list(ordered_tasks(tasks))},
        classes=classes,
        feature_dim=feature_dim,
        input={"window": window, "hop": hop, "backbone": backbone},
        training=training,
    )


def spec_tasks(spec: Spec) -> tuple[str, ...]:
    """A temporal model's tasks, in the order of its outputs."""
    return tuple(spec.architecture.get("tasks", ("expression",)))


@dataclass(frozen=True, slots=True)
class _TemporalInput:
    """What the spec's `input` holds: see `temporal_spec`. Raises ValueError unless 1 <= hop <= window."""

    window: int
    hop: int
    backbone: str

    def __post_init__(self) -> None:
        if not 1 <= self.hop <= self.window:
            raise ValueError(f"input: expected 1 <= hop <= window, found hop {self.hop} and window {self.window}")


@dataclass(frozen=True, slots=True)
class _Tasks:
    tasks: tuple[str, ...] = ("expression",)


def build_temporal(spec: Spec, *, seed: int) -> TemporalTransformer:
    """The model that a spec describes, with weights drawn from `seed`.

    Raises CheckpointError for an architecture that this version does not know, and for values of other types.
    """
    try:
        size, num_outputs, window = _read_sizes(spec)
    except (ConfigError, ValueError) as error:
        raise CheckpointError(f"the spec of the temporal model was written by another version ({error})") from error
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        return TemporalTransformer(size, spec.feature_dim, num_outputs, window)


def _read_sizes(spec: Spec) -> tuple[TransformerSize, int, int]:
    """The encoder's size, its number of outputs and its window."""
    arguments = dict(spec.architecture)
    name, tasks = arguments.pop("name", None), {"tasks": arguments.pop("tasks", ["expression"])}
    if name != _ARCHITECTURE:
        raise ValueError(
            f"temporal architecture {str(name)[:60]!r} is not known; this version builds '{_ARCHITECTURE}'"
        )
    size = from_plain(TransformerSize, arguments, "architecture")
    ordered = ordered_tasks(from_plain(_Tasks, tasks, "architecture").tasks)
    if list(ordered) != list(tasks["tasks"]):
        raise ValueError(f"key 'architecture.tasks': expected {', '.join(ordered)}, in this order and once each")
    return size, sum(NUM_OUTPUTS[task] for task in ordered), from_plain(_TemporalInput, spec.input, "input").window


def load_temporal(folder: Path) -> tuple[TemporalTransformer, Spec]:
    """A trained temporal model, on the CPU and in eval mode, and its spec.

    Raises CheckpointError when the checkpoint is missing, damaged or of another kind, or its weights do not fit its
    spec.
    """
    checkpoint = load_checkpoint(folder, "temporal")
    try:
        _require_fit(checkpoint)
        model = build_temporal(checkpoint.spec, seed=0)
        model.load_state_dict(checkpoint.weights)
    except (ConfigError, ValueError, RuntimeError) as error:
        raise misfit(folder, error) from error
    return model.eval(), checkpoint.spec


def _require_fit(checkpoint: Checkpoint) -> None:
    """Compare weights and spec before anything of the size that the spec states is built, which may be any size."""
    size, num_outputs, window = _read_sizes(checkpoint.spec)
    if max(size.layers, size.tcn) > len(checkpoint.weights):
        raise ValueError(
            f"{size.layers} layers and {size.tcn} convolutions over time, but only {len(checkpoint.weights)} weights"
        )
    with torch.device("meta"):
        model = TemporalTransformer(size, checkpoint.spec.feature_dim, num_outputs, window)
    require_shapes(checkpoint.path, checkpoint.weights, model.state_dict())
