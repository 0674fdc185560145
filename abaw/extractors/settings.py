"""The settings of networks of other projects: flags, a file next to the network, or a preset, read without torch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal

from abaw.core.errors import ConfigError, DataError
from abaw.core.typed import from_plain
from abaw.core.yaml_file import read_yaml
from abaw.protocol.manifests import manifests_folder
from abaw.stores.crop import Crop, parse_crop

ChannelOrder = Literal["rgb", "bgr", "grey"]
Pooling = Literal["pooled", "cls", "mean"]

ANY_CROP: Final = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractorSettings:
    """What a network of another project expects and returns; what is left out is taken from its file or its preset.

    Args:
        size: side of its square input in pixels
        resize: side to which the crop is scaled before the central `size` pixels are cut out; by default the whole crop
            is scaled to `size`
        mean: what is subtracted from each channel, in the channel order of the network, of values from 0 to 1
        std: by what each channel is then divided
        channel_order: rgb, bgr, or grey for a single channel
        crop: kind of crop that the network expects, such as box:224:0.3; any for every kind
        output: of ONNX files: which output, or any other tensor by its name; head_input for the input of the last
            linear layer
        pooling: what becomes the feature: the output that the network pools itself (pooled), its CLS token (cls) or the
            mean over all places (mean)
        weights: of timm networks: a file with their weights instead of a download
        source: where the weights come from; stores record it
        trained_on: data sets that the weights were trained on; stores record them
    """

    size: int | None = None
    resize: int | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    channel_order: ChannelOrder | None = None
    crop: str | None = None
    output: str | None = None
    pooling: Pooling | None = None
    weights: str | None = None
    source: str | None = None
    trained_on: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.crop not in (None, ANY_CROP):
            parse_crop(str(self.crop))

    @property
    def expected_crop(self) -> Crop | None:
        """None for any kind."""
        return None if self.crop in (None, ANY_CROP) else parse_crop(str(self.crop))

    def given(self) -> dict[str, Any]:
        """The settings that are not left out."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value not in (None, ())}

    def over(self, lower: ExtractorSettings) -> ExtractorSettings:
        """These settings, and those of `lower` where they are left out."""
        return ExtractorSettings(**{**lower.given(), **self.given()})


NOTHING: Final = ExtractorSettings()


def read_settings(path: Path) -> ExtractorSettings:
    """The settings in a YAML file. Raises DataError when it is not readable or has other keys or values."""
    content = read_yaml(path, "not readable as settings of an extractor")
    try:
        return from_plain(ExtractorSettings, content)
    except (ValueError, ConfigError) as error:
        raise DataError(f"{path}: {error}") from error


def sidecar(file: Path) -> Path | None:
    """The file with the settings of a network's file: `NAME.onnx.yaml` or `NAME.yaml`; None without one."""
    for path in (file.with_name(f"{file.name}.yaml"), file.with_suffix(".yaml")):
        if path.exists():
            return path
    return None


def preset(kind: str, name: str) -> ExtractorSettings | None:
    """The settings of a network that the project knows, by kind of extractor and name; None for any other."""
    path = manifests_folder() / "extractors" / kind / f"{name}.yaml"
    known = {file.name for file in path.parent.glob("*.yaml")}
    return read_settings(path) if path.name in known else None


def require_uses(settings: ExtractorSettings, used: frozenset[str], name: str) -> None:
    """Raise ConfigError for a setting that has no meaning for this extractor."""
    for unused in sorted(settings.given().keys() - used):
        raise ConfigError(f"extractor.{unused} has no meaning for {name}; leave it out")
