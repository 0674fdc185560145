"""The names of detectors that are no paths."""

from __future__ import annotations

from typing import Final

AUTO: Final = "auto"
BUILTIN: Final = "builtin"
PACK_PREFIX: Final = "insightface:"
DEFAULT_PACK: Final = "buffalo_l"
