"""Video affect competition pipeline: from videos of faces to per-frame expressions in the ABAW formats.

The names in `__all__` are the Python API and stay stable. They are loaded when they are first used.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

_PLACES = {
    "AbawError": ("abaw.core.errors", "AbawError"),
    "CLASSES": ("abaw.protocol.classes", "EXPRESSION_CLASSES"),
    "ablate": ("pipelines.api.functions", "ablate"),
    "audio_features": ("pipelines.api.functions", "audio_features"),
    "check_submission": ("pipelines.api.functions", "check_submission"),
    "cross_validate": ("pipelines.api.functions", "cross_validate"),
    "extract": ("pipelines.api.functions", "extract"),
    "features": ("pipelines.api.functions", "features"),
    "fuse": ("pipelines.api.functions", "fuse"),
    "import_features": ("pipelines.api.functions", "import_features"),
    "predict": ("pipelines.api.functions", "predict"),
    "predict_faces": ("pipelines.api.faces", "predict_faces"),
    "predict_images": ("pipelines.api.faces", "predict_images"),
    "predict_video": ("pipelines.api.functions", "predict_video"),
    "read_annotations": ("pipelines.api.reading", "read_annotations"),
    "read_faces": ("pipelines.api.reading", "read_faces"),
    "read_features": ("pipelines.api.reading", "read_features"),
    "read_predictions": ("pipelines.api.reading", "read_predictions"),
    "submit": ("pipelines.api.functions", "submit"),
    "train_static": ("pipelines.api.functions", "train_static"),
    "train_temporal": ("pipelines.api.functions", "train_temporal"),
    "validate": ("pipelines.api.functions", "validate"),
}
__all__ = ["__version__", *_PLACES]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'abaw' has no attribute '{name}'")
    # Loaded on use: `import abaw` loads neither torch nor OpenCV.
    from importlib import import_module

    module, attribute = _PLACES[name]
    if module.startswith("pipelines"):
        # Loaded on use, too: the rest of the library does not need it.
        from abaw.__main__ import require_own_packages

        require_own_packages()
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
