"""`hf:NAME_OR_FOLDER`: vision models of the library transformers, from the Hugging Face hub or a folder.

The folder or repository says what the model is (`config.json`) and which picture it expects
(`preprocessor_config.json`).
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from abaw.core.device import Device
from abaw.core.errors import ConfigError, DataError
from abaw.core.text import listed, one_line
from abaw.extractors.extractor import Extractor
from abaw.extractors.picture import picture_of
from abaw.extractors.settings import NOTHING, ExtractorSettings, Pooling, preset
from abaw.extractors.torch_network import cls_token, has_cls_token, mean_of_places, torch_extractor
from abaw.weights.hub import HubModel, transformers_library

USES: Final = frozenset(("size", "resize", "mean", "std", "channel_order", "crop", "pooling", "source", "trained_on"))
_PICTURES: Final = "pixel_values"
_BYTE_SCALE: Final = 1 / 255
_NO_CUT: Final = 384
"""From this size on, the processor of ConvNeXt takes the whole picture."""


def open_extractor(argument: str, settings: ExtractorSettings, device: Device, threads: int | None) -> Extractor:
    """argument: a folder, or a name of the hub.

    Raises ConfigError for a model that is neither cached nor can be downloaded, or whose picture is not known, and
    DataError for a folder that is missing, damaged, or holds no vision model.
    """
    name = f"hf:{argument}"
    place = HubModel(argument, "facebook/dinov2-small")
    settings = settings.over(preset("hf", Path(argument).name) or NOTHING)
    module, lacking = _load_model(place, name)
    chosen = settings.over(_own_settings(place, module, settings))
    picture = picture_of(chosen, name)
    pooling, notes = _pooling(module, lacking, chosen.pooling, picture.size, name)
    compute = _Compute(module, pooling, picture.size, name)
    return torch_extractor(name, module, compute, picture, chosen, device, {"pooling": pooling}, notes)


def _load_model(place: HubModel, name: str) -> tuple[nn.Module, list[str]]:
    """The vision part of a model, and the names of the weights that its file lacks."""
    library = transformers_library()
    try:
        config = library.AutoConfig.from_pretrained(place.name, **place.options)
        # Models of pictures and text keep the part for pictures in this key.
        config = getattr(config, "vision_config", config)
        if hasattr(config, "mask_ratio"):
            config.mask_ratio = 0.0  # masked autoencoders would hide random parts
        module, report = library.AutoModel.from_pretrained(
            place.name, config=config, dtype=torch.float32, output_loading_info=True, **place.options
        )
    except Exception as error:  # the library's loaders fail in many ways
        raise place.fault(error, "its model") from error
    if module.main_input_name != _PICTURES:
        raise DataError(
            f"{name}: is no vision model (it takes {module.main_input_name}); give one such as DINOv2 or ViT"
        )
    lacking = sorted(report["missing_keys"])
    if report.get("mismatched_keys"):
        raise DataError(f"{name}: its weights have other shapes than config.json says; copy the folder again")
    return module, lacking


def _pooling(
    module: nn.Module, lacking: list[str], wanted: Pooling | None, size: int, name: str
) -> tuple[Pooling, tuple[str, ...]]:
    """How features are made, and a note where the model does not pool its output itself."""
    of_pooler = [key for key in lacking if "pooler" in key.split(".")]
    if rest := [key for key in lacking if key not in of_pooler]:
        raise DataError(f"{name}: its file lacks {len(rest)} weights ({listed(rest, 3)}); copy it again")
    if wanted == "cls" and not has_cls_token(module):
        raise ConfigError(f"{name}: has no CLS token; use --extractor.pooling pooled or mean")
    if wanted in ("cls", "mean") or not (of_pooler or _pooler_output(module, size) is None):
        return wanted or "pooled", ()
    if wanted == "pooled":
        raise ConfigError(f"{name}: has no pooler, or no weights of it; use --extractor.pooling cls or mean")
    instead: Pooling = "cls" if has_cls_token(module) else "mean"
    return instead, (f"{name}: has no pooler, or no weights of it; pooling is {instead}",)


def _pooler_output(module: nn.Module, size: int) -> Tensor | None:
    with torch.inference_mode():
        found = module.eval()(pixel_values=torch.zeros(1, 3, size, size), **_options(module, size))
    return getattr(found, "pooler_output", None)


def _options(module: Any, size: int) -> dict[str, bool]:
    """Arguments that let a transformer take pictures of another size than it was trained on."""
    resized = size != getattr(module.config, "image_size", size)
    known = inspect.signature(module.forward).parameters
    return {"interpolate_pos_encoding": True} if resized and "interpolate_pos_encoding" in known else {}


class _Compute:
    """Pictures -> features."""

    def __init__(self, module: nn.Module, pooling: Pooling, size: int, name: str) -> None:
        self._module: Any = module
        self._pooling = pooling
        self._name = name
        self._skip = int(has_cls_token(module)) + int(getattr(self._module.config, "num_register_tokens", 0) or 0)
        self._options = _options(module, size)

    def __call__(self, pictures: Tensor) -> Tensor:
        found = self._module(pixel_values=pictures, **self._options)
        if self._pooling == "pooled":
            return torch.flatten(found.pooler_output, 1)
        if self._pooling == "cls":
            return cls_token(found.last_hidden_state, self._name)
        return mean_of_places(found.last_hidden_state, self._name, self._skip)


def _own_settings(place: HubModel, module: nn.Module, given: ExtractorSettings) -> ExtractorSettings:
    """What the folder says of the picture; it may be silent when the settings say all."""
    try:
        processor = transformers_library().AutoImageProcessor.from_pretrained(place.name, **place.options).to_dict()
    except Exception as error:  # the library's loaders fail in many ways
        if given.mean and given.std and given.size:
            return NOTHING
        raise ConfigError(
            f"hf:{place.name}: preprocessor_config.json cannot be read ({one_line(error)}); copy it into the folder, "
            "or give --extractor.size, --extractor.mean and --extractor.std"
        ) from error
    resize = _side(processor.get("size")) if processor.get("do_resize", True) else None
    size = _side(processor.get("crop_size")) if processor.get("do_center_crop") else resize
    if resize is not None and resize < _NO_CUT and (kept := processor.get("crop_pct")):
        resize = int(resize / kept)  # ConvNeXt's way to say the same
    if size is None:
        size = _side(getattr(getattr(module, "config", None), "image_size", None))
    mean, std = (), ()
    if processor.get("do_normalize", True):
        mean, std = tuple(processor["image_mean"]), tuple(processor["image_std"])
    factor = float(processor.get("rescale_factor") or _BYTE_SCALE) if processor.get("do_rescale", True) else 1.0
    # (byte · factor − mean) / std, in terms of byte / 255
    scale = _BYTE_SCALE / factor
    return ExtractorSettings(
        # A given size is that of the whole crop, unless how it is cut is given, too.
        size=size,
        resize=resize if given.size is None else None,
        mean=tuple(value * scale for value in mean or (0.0, 0.0, 0.0)),
        std=tuple(value * scale for value in std or (1.0, 1.0, 1.0)),
    )


def _side(size: Any) -> int | None:
    """The side in pixels of what a processor calls a size; None for none, or one that is not square."""
    if isinstance(size, int):
        return size
    if isinstance(size, Mapping):
        values = {size[key] for key in ("shortest_edge", "height", "width") if size.get(key) is not None}
        return int(values.pop()) if len(values) == 1 else None
    return None
