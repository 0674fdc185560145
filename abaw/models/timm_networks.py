"""Networks of the library timm, by its names, as backbones: images (B, 3, S, S) -> features (B, D).

A network is built without a download; its weights come from a file.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from abaw.core.errors import ConfigError, DataError, nearest
from abaw.core.extras import load_extra
from abaw.core.hub import hub_file, hub_page
from abaw.core.text import one_line
from abaw.models.weight_files import load_weights, read_weight_file

PREFIX: Final = "timm:"
_FILES: Final = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True, slots=True)
class TimmInput:
    """What timm says of a network's picture.

    size: pixels; cut: share of the scaled image's side that the picture keeps; mean, std: per channel, R, G, B.
    """

    size: int
    cut: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def timm_input(name: str) -> TimmInput:
    """Raises ConfigError for an unknown name (without the prefix)."""
    config = _config(name)
    return TimmInput(int(config.input_size[-1]), float(config.crop_pct), tuple(config.mean), tuple(config.std))


def build_timm(name: str, size: int | None = None) -> nn.Module:
    """A network without its head, with random weights. size: of the images, for networks that are built for one size.

    Raises ConfigError for an unknown name and for a size that does not work.
    """
    config = _config(name)
    options = {"img_size": size} if config.fixed_input_size and size is not None else {}
    try:
        network: nn.Module = load_extra("timm", "timm").create_model(name, pretrained=False, num_classes=0, **options)
    except (AssertionError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ConfigError(
            f"{PREFIX}{name} cannot be built for images of {size}x{size} pixels ({one_line(error)}); choose another "
            "size or network"
        ) from error
    return network


def load_timm(network: nn.Module, name: str, weights: Path) -> None:
    """Load a file with weights in timm's names, or in those of the network's authors where timm converts them.

    Raises DataError when the file is not readable or belongs to another network.
    """
    tensors: Any = read_weight_file(weights)
    convert = _converter(network)
    if convert is not None:
        try:
            tensors = convert(tensors, network)
        except Exception as error:  # written for files of this network alone
            raise DataError(
                f"{weights}: holds no weights of {PREFIX}{name} ({one_line(error)}); give the weights of this network"
            ) from error
    load_weights(network, tensors, weights, f"{PREFIX}{name}")


def pretrained_file(name: str, flag: str) -> Path:
    """The file of a network's pretrained weights: from the cache, or downloaded once.

    flag: with which a file is given. Raises ConfigError when there are none, or without them and a network.
    """
    config = _config(name)
    if config.hf_hub_id:
        names = (config.hf_hub_filename,) if config.hf_hub_filename else _FILES
        return hub_file(
            config.hf_hub_id,
            names,
            f"without a network, download {names[0]} from {hub_page(config.hf_hub_id)} elsewhere and give it with "
            f"{flag} FILE",
        )
    if not config.url:
        raise ConfigError(f"there are no pretrained weights of {PREFIX}{name}; give a file with {flag} FILE")
    return _from_url(config.url, flag)


def _from_url(url: str, flag: str) -> Path:
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), progress=False)
        except OSError as error:
            raise ConfigError(
                f"cannot download {url} ({one_line(error)}); without a network, download it elsewhere and give it with "
                f"{flag} FILE, or copy it to {path}"
            ) from error
    return path


def _converter(network: nn.Module) -> Callable[[dict[str, Tensor], nn.Module], dict[str, Tensor]] | None:
    """The function of the network's module that converts other names and sizes, by timm's convention."""
    found: Callable[[dict[str, Tensor], nn.Module], dict[str, Tensor]] | None
    found = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    return found


def _config(name: str) -> Any:
    """timm's description of a network, by a name with or without a tag. Raises ConfigError for an unknown one."""
    timm = load_extra("timm", "timm")
    known = name.partition(".")[0]
    if not timm.is_model(known) or ":" in name or "/" in name:
        names = timm.list_models()
        raise ConfigError(
            f"unknown network '{PREFIX}{name}': expected a name of timm, such as {PREFIX}efficientnet_b0."
            f"{nearest(known, names)}"
        )
    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        tags = [each.partition(".")[2] for each in timm.list_pretrained(f"{known}.*")]
        raise ConfigError(
            f"unknown weights '{PREFIX}{name}': timm has {known} with the tags {', '.join(tags) or 'none'}"
        ) from error
    if config is None:
        raise ConfigError(f"{PREFIX}{name}: timm does not say which images it expects; choose another network")
    return config
