"""The models of sound by name. A kind of model is a file in `models` with a function `model`; KINDS lists them."""

from __future__ import annotations

from importlib import import_module

from abaw.audio.model import SoundModel
from abaw.audio.options import SoundOptions, parse_model


def open_model(text: str, options: SoundOptions) -> SoundModel:
    """The model `logmel`, `opensmile:SET` or `hf:NAME_OR_FOLDER`.

    Raises ConfigError for an unknown one or one whose library is not installed, and DataError for weights that cannot
    be read.
    """
    kind, name = parse_model(text, options.layer)
    # Loaded by name: every model needs another library.
    opened: SoundModel = import_module(f"abaw.audio.models.{kind}").model(name, options)
    return opened
