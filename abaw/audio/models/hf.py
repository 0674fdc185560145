"""`hf:NAME_OR_FOLDER`: wav2vec 2.0, HuBERT or WavLM, through transformers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from abaw.audio.decode import Samples
from abaw.audio.options import SoundOptions
from abaw.core.errors import ConfigError, DataError
from abaw.core.text import listed
from abaw.weights.hub import HubModel, transformers_library
from abaw.weights.identity import weights_hash

_RATE = 16_000


@dataclass(frozen=True, slots=True, eq=False)
class SpeechTransformer:
    """The outputs of one layer of a transformer on the waveform.

    layer: from 0, the input of the first block; standardised: whether each block of sound is given with mean 0 and
    standard deviation 1; weights: their hash; window, hop: samples that the convolutions see and go on by per vector.
    """

    network: nn.Module
    name: str
    layer: int
    dim: int
    rate: int
    standardised: bool
    weights: str
    window: int
    hop: int
    device: torch.device

    length_s = 20.0
    context_s = 2.0

    @property
    def backbone(self) -> str:
        return f"{self.weights[:16]}/layer{self.layer}"

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"model": "hf", "name": self.name, "layer": self.layer, "weights_sha256": self.weights}

    @torch.inference_mode()
    def vectors(self, samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """See `SoundModel`. Sound is continued with silence to one window if it is shorter."""
        whole = np.pad(samples, (0, max(0, self.window - len(samples))))
        if self.standardised:
            whole = (whole - whole.mean()) / np.sqrt(whole.var() + 1e-7)
        sound = torch.from_numpy(np.ascontiguousarray(whole, np.float32))[None].to(self.device)
        values = self.network(sound, output_hidden_states=True).hidden_states[self.layer][0]
        centres = np.arange(len(values)) * self.hop + self.window / 2
        return np.asarray(centres, np.float64), values.float().cpu().numpy()


def model(argument: str, options: SoundOptions) -> SpeechTransformer:
    """argument: a folder, or a name of the hub.

    Raises DataError for a folder that cannot be read or a model of another kind, and ConfigError for one that cannot be
    downloaded or lacks the layer.
    """
    name = f"hf:{argument}"
    place = HubModel(argument, "facebook/wav2vec2-base")
    config, network = _loaded(place, name)
    if not hasattr(config, "conv_kernel") or not hasattr(config, "conv_stride"):
        raise DataError(
            f"{name}: is a model of the kind '{config.model_type}'; expected one on the waveform, such as wav2vec2, "
            "hubert or wavlm"
        )
    layers = int(config.num_hidden_layers)
    layer = layers if options.layer is None else options.layer
    if not 0 <= layer <= layers:
        raise ConfigError(f"--layer {layer}: {name} has the layers 0 to {layers}")
    window, hop = 1, 1
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        window, hop = window + (kernel - 1) * hop, hop * stride
    rate, standardised = _preprocessing(place)
    device = torch.device(options.device)
    digest = weights_hash(network)
    return SpeechTransformer(
        network.eval().requires_grad_(False).to(device),
        Path(place.name).resolve().name if place.is_folder else place.name,
        layer,
        int(config.hidden_size),
        rate,
        standardised,
        digest,
        window,
        hop,
        device,
    )


def _loaded(place: HubModel, name: str) -> tuple[Any, nn.Module]:
    library = transformers_library()
    try:
        network, report = library.AutoModel.from_pretrained(
            place.name, dtype=torch.float32, output_loading_info=True, **place.options
        )
    except Exception as error:  # the library's loaders fail in many ways
        raise place.fault(error, "its model") from error
    if lacking := sorted(report["missing_keys"]):
        raise DataError(f"{name}: its file lacks {len(lacking)} weights ({listed(lacking, 3)}); copy it again")
    return network.config, network


def _preprocessing(place: HubModel) -> tuple[int, bool]:
    """Samples per second, and whether the sound is standardised; as is usual if the model does not say."""
    try:
        extractor = transformers_library().AutoFeatureExtractor.from_pretrained(place.name, **place.options)
    except Exception:  # the library's loaders fail in many ways
        return _RATE, True
    return int(extractor.sampling_rate), bool(extractor.do_normalize)
