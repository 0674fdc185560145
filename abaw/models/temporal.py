"""The temporal model: frozen per-frame features -> Transformer encoder -> per-frame outputs.

Several sources of features are fused per frame (abaw.models.fusion). Optional parts follow (abaw.models.stem): changes
of the features, a convolution that starts as a mean, a small TCN. A pre-norm encoder is last. The outputs of the
classes may start at the log-probabilities of a static model (abaw.models.start): the model then learns a correction.
With rotary positions (arXiv 2104.09864) a frame's logits depend on distances between frames, not on where the window
begins, and any window length works; learned positions are the alternative. Each head prefers near frames, at its own
rate (arXiv 2108.12409): few videos are enough to learn to use the neighbours.
Shapes: B batch, T time, S source, D feature, O outputs (abaw.models.tasks).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from abaw.core.errors import ConfigError
from abaw.core.seed import derive_seed
from abaw.core.typed import from_plain
from abaw.models.attention import Block, attention_bias, rotation
from abaw.models.fusion import SourceInput, build_fusion
from abaw.models.running import RunWindows
from abaw.models.sizes import TransformerSize
from abaw.models.start import filled_log_probs
from abaw.models.stem import MeanStem, Tcn, changes
from abaw.models.tasks import NUM_OUTPUTS, ordered_tasks
from abaw.protocol.classes import NUM_EXPRESSIONS
from abaw.stores.checkpoints import Checkpoint, load_checkpoint, misfit, require_shapes
from abaw.stores.sources import Source, is_logits, joined_backbone, spec_sources
from abaw.stores.spec import CheckpointError, Spec

_ARCHITECTURE = "transformer"


class TemporalTransformer(nn.Module):
    """The outputs of every frame of a window, from the features of all its frames.

    dims: features per frame of each source, D together; window: the longest window that learned positions cover;
    logits: index of the source with a static model's logits, at which the outputs start if `size.start` says so;
    feature_mean, feature_std: (D,), of the training features, stored with the weights.
    """

    feature_mean: Tensor
    feature_std: Tensor

    def __init__(
        self, size: TransformerSize, dims: Sequence[int], num_outputs: int, window: int, logits: int | None = None
    ) -> None:
        super().__init__()
        self.size = size
        self.dims = tuple(dims)
        self.logits = logits
        self.register_buffer("feature_mean", torch.zeros(sum(dims)))
        self.register_buffer("feature_std", torch.ones(sum(dims)))
        self.inputs = nn.ModuleList(SourceInput(dim * (2 if size.delta else 1), size.width) for dim in dims)
        self.fusion = build_fusion(size, len(self.dims))
        full = size.stem_mean == "full"
        self.stem = MeanStem(size.width, size.stem, causal=size.causal, full=full) if size.stem else None
        self.tcn = Tcn(size.width, size.tcn, size.dropout, causal=size.causal, full=full) if size.tcn else None
        learned = size.positions == "learned"
        self.positions = nn.Parameter(torch.randn(window, size.width) * 0.02) if learned else None
        self.blocks = nn.ModuleList(Block(size) for _ in range(size.layers))
        self.norm = nn.LayerNorm(size.width)
        self.head = nn.Linear(size.width, num_outputs)
        if logits is not None:
            for values in (self.head.weight, self.head.bias):
                nn.init.zeros_(values[:NUM_EXPRESSIONS])
        self.register_load_state_dict_pre_hook(_before_loading)  # type: ignore[no-untyped-call]

    def forward(self, features: Tensor, present: Tensor, inside: Tensor) -> Tensor:
        """Features (B, T, D) -> outputs (B, T, O).

        present: (B, T, S), False where a source has no feature or is masked: its learned mask token is used there;
        inside: (B, T), False for padding, which no frame attends to. A window must not begin with padding. Raises
        ValueError when T exceeds the learned positions.
        """
        outputs = self._outputs(features, present, inside)
        if self.logits is None:
            return outputs
        start = torch.split(features, list(self.dims), dim=-1)[self.logits]
        start = filled_log_probs(start, present[..., self.logits] & inside, causal=self.size.causal)
        if self.size.correction == "neighbours":
            # On the frame alone the network computes what it computes on a video of nothing but this frame.
            alone = [values.flatten(0, 1)[:, None] for values in (features, present, torch.ones_like(inside))]
            start = start - self._outputs(*alone)[:, 0].reshape(*inside.shape, -1)[..., :NUM_EXPRESSIONS]
        return outputs + F.pad(start, (0, outputs.shape[-1] - NUM_EXPRESSIONS))

    def _outputs(self, features: Tensor, present: Tensor, inside: Tensor) -> Tensor:
        """(B, T, O) before the start is added."""
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
        parts = zip(self.inputs, torch.split(standard, list(self.dims), dim=-1), present.unbind(-1), strict=True)
        sources = [embed(self._with_changes(part, there, inside), there) for embed, part, there in parts]
        tokens: Tensor = self.fusion(sources, present, inside)
        if self.stem is not None:
            tokens = self.stem(tokens, inside)
        return self.tcn(tokens, inside) if self.tcn is not None else tokens

    def _with_changes(self, standard: Tensor, present: Tensor, inside: Tensor) -> Tensor:
        """The features of one source, (B, T, D), with their changes if the model uses them. present: (B, T)."""
        if not self.size.delta:
            return standard
        change = changes(standard, present & inside, self.size.delta, causal=self.size.causal)
        return torch.cat([standard, change], dim=-1)

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Store the mean and the standard deviation, (D,), of the training features.

        Features that hardly vary in training are not blown up: the deviation used is at least 0.1 of the average one of
        their source.
        """
        self.feature_mean.copy_(mean)
        self.feature_std.copy_(torch.cat([_floored(part) for part in torch.split(std, list(self.dims))]))


def on_windows(model: TemporalTransformer) -> RunWindows:
    """A model in eval mode as a function of arrays, on the device of its weights."""

    @torch.inference_mode()
    def run(features: NDArray[np.floating], present: NDArray[np.bool_]) -> NDArray[np.float32]:
        device = model.head.weight.device
        known = torch.from_numpy(present).to(device)
        inside = torch.ones(known.shape[:2], dtype=torch.bool, device=device)
        outputs: NDArray[np.float32] = model(torch.from_numpy(features).to(device), known, inside).cpu().numpy()
        return outputs

    return run


def _floored(std: Tensor) -> Tensor:
    floor = 0.1 * std.mean()
    return std.clamp_min(floor) if floor > 0 else torch.ones_like(std)


def _before_loading(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    _rename_earlier(state, prefix)


def _rename_earlier(state: dict[str, Tensor], prefix: str = "") -> None:
    """Give weights of earlier versions, which had one projection and one mask token, the names of the first source."""
    for name in ("mask_token", "embed.weight", "embed.bias"):
        if prefix + name in state:
            state[f"{prefix}inputs.0.{name}"] = state.pop(prefix + name)


def temporal_spec(
    size: TransformerSize,
    *,
    window: int,
    hop: int,
    sources: Sequence[Source],
    classes: tuple[str, ...],
    training: Mapping[str, Any],
    tasks: Sequence[str] = ("expression",),
    class_shares: tuple[float, ...] | None = None,
) -> Spec:
    """The spec stored with a temporal model's weights.

    window, hop: in frames; sources: in the order of the features; classes: empty without expression; class_shares: see
    Spec. Raises ConfigError as `ordered_tasks` does, and when the outputs start at logits that no source has.
    """
    _logits_index(size, sources, ordered_tasks(tasks))
    return Spec(
        kind="temporal",
        architecture={"name": _ARCHITECTURE, **asdict(size), "tasks": list(ordered_tasks(tasks))},
        classes=classes,
        feature_dim=sum(source.dim for source in sources),
        input={
            "window": window,
            "hop": hop,
            "backbone": joined_backbone(sources),
            "sources": [asdict(source) for source in sources],
        },
        training=training,
        class_shares=class_shares,
    )


@dataclass(frozen=True, slots=True)
class _TemporalInput:
    """What the spec's `input` holds: see `temporal_spec`. Raises ValueError unless 1 <= hop <= window."""

    window: int
    hop: int
    backbone: str
    sources: tuple[Source, ...] | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.hop <= self.window:
            raise ValueError(f"input: expected 1 <= hop <= window, found hop {self.hop} and window {self.window}")


@dataclass(frozen=True, slots=True)
class _Tasks:
    tasks: tuple[str, ...] = ("expression",)


def build_temporal(spec: Spec, *, seed: int) -> TemporalTransformer:
    """The model that a spec describes, with weights drawn from `seed`.

    Raises CheckpointError for an architecture that this version does not know, for values of other types, and for a
    spec that contradicts itself.
    """
    try:
        arguments = _read_sizes(spec)
    except (ConfigError, ValueError) as error:
        raise CheckpointError(f"the spec of the temporal model was written by another version ({error})") from error
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        return TemporalTransformer(*arguments)


def _read_sizes(spec: Spec) -> tuple[TransformerSize, list[int], int, int, int | None]:
    """What the model is built from: see `TemporalTransformer`."""
    arguments = dict(spec.architecture)
    name, tasks = arguments.pop("name", None), {"tasks": arguments.pop("tasks", ["expression"])}
    if name != _ARCHITECTURE:
        raise ValueError(
            f"temporal architecture {str(name)[:60]!r} is not known; this version builds '{_ARCHITECTURE}'"
        )
    # Earlier versions had no choice.
    size = from_plain(TransformerSize, {"stem_mean": "full", "correction": "free", **arguments}, "architecture")
    ordered = ordered_tasks(from_plain(_Tasks, tasks, "architecture").tasks)
    if list(ordered) != list(tasks["tasks"]):
        raise ValueError(f"key 'architecture.tasks': expected {', '.join(ordered)}, in this order and once each")
    window = from_plain(_TemporalInput, spec.input, "input").window
    sources = spec_sources(spec)
    outputs = sum(NUM_OUTPUTS[task] for task in ordered)
    return size, [source.dim for source in sources], outputs, window, _logits_index(size, sources, ordered)


def _logits_index(size: TransformerSize, sources: Sequence[Source], tasks: Sequence[str]) -> int | None:
    """Raises ConfigError when the outputs start at logits that are not among the sources."""
    if size.start == "nothing":
        return None
    if "expression" not in tasks:
        raise ConfigError("model.start log_probs: needs the task 'expression'")
    found = [index for index, source in enumerate(sources) if is_logits(source)]
    if len(found) != 1:
        known = ", ".join(f"{source.name} ({source.backbone})" for source in sources)
        raise ConfigError(
            f"model.start log_probs: expected one source with the logits of a static model (abaw features --outputs "
            f"logits), found {len(found)} among {known}"
        )
    return found[0]


def load_temporal(folder: Path) -> tuple[TemporalTransformer, Spec]:
    """A trained temporal model, on the CPU and in eval mode, and its spec.

    Raises CheckpointError when the checkpoint is missing, damaged or of another kind, or its weights do not fit its
    spec.
    """
    checkpoint = load_checkpoint(folder, "temporal")
    _rename_earlier(checkpoint.weights)
    try:
        _require_fit(checkpoint)
        model = build_temporal(checkpoint.spec, seed=0)
        model.load_state_dict(checkpoint.weights)
    except (ConfigError, ValueError, RuntimeError) as error:
        raise misfit(folder, error) from error
    return model.eval(), checkpoint.spec


def _require_fit(checkpoint: Checkpoint) -> None:
    """Compare weights and spec before anything of the size that the spec states is built, which may be any size."""
    arguments = _read_sizes(checkpoint.spec)
    size, dims = arguments[:2]
    if max(size.layers, size.tcn, len(dims)) > len(checkpoint.weights):
        raise ValueError(
            f"{size.layers} layers, {size.tcn} convolutions over time and {len(dims)} sources, but only "
            f"{len(checkpoint.weights)} weights"
        )
    with torch.device("meta"):
        model = TemporalTransformer(*arguments)
    require_shapes(checkpoint.path, checkpoint.weights, model.state_dict())
