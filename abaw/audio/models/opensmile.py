"""`opensmile:SET`: the low-level descriptors of openSMILE, 100 per second. Its licence is for research only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.audio.decode import Samples
from abaw.audio.options import SoundOptions
from abaw.core.errors import ConfigError, nearest
from abaw.core.extras import load_extra

_SHORTEST_S = 0.2
"""openSMILE returns nothing for shorter sound."""


@dataclass(frozen=True, slots=True)
class OpenSmile:
    """The descriptors of a feature set such as eGeMAPSv02, without its functionals (statistics over whole files)."""

    smile: Any
    name: str

    rate = 16_000
    length_s = 30.0
    context_s = 1.0

    @property
    def dim(self) -> int:
        return len(self.smile.feature_names)

    @property
    def backbone(self) -> str:
        return f"opensmile-{version('opensmile')}/{self.name}"

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"model": "opensmile", "set": self.name, "descriptors": list(self.smile.feature_names)}

    def vectors(self, samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """See `SoundModel`. Sound is continued with silence if it is too short for openSMILE."""
        whole = np.pad(samples, (0, max(0, round(_SHORTEST_S * self.rate) - len(samples))))
        table = self.smile.process_signal(whole, self.rate)
        begin, end = (table.index.get_level_values(key).total_seconds().to_numpy() for key in ("start", "end"))
        values = np.nan_to_num(table.to_numpy(np.float32), posinf=0.0, neginf=0.0)
        return np.asarray((begin + end) / 2 * self.rate), values


def model(name: str, options: SoundOptions) -> OpenSmile:
    """Raises ConfigError for a set that openSMILE does not have, or when it is not installed."""
    library = load_extra("opensmile", "opensmile")
    sets = [each.name for each in library.FeatureSet]
    if name not in sets:
        raise ConfigError(f"--model opensmile:{name}: expected one of {', '.join(sets)}.{nearest(name, sets)}")
    level = library.FeatureLevel.LowLevelDescriptors
    return OpenSmile(library.Smile(library.FeatureSet[name], level), name)
