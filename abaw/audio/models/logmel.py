"""`logmel`: energies in mel bands in decibels, and how they change. No weights, nothing to download."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import librosa
import numpy as np
from numpy.typing import NDArray

from abaw.audio.decode import Samples
from abaw.audio.options import SoundOptions
from abaw.core.artifacts import value_hash
from abaw.core.config import to_plain

_FLOOR = 1e-10
_LEAST_BAND_HZ = 50.0


@dataclass(frozen=True, slots=True)
class LogMel:
    """A spectrum every `hop` samples over `window` of them (Hann), in `bands` mel bands; then the slope of each band
    over `slope` spectra. The bands reach from 50 Hz to half the rate."""

    rate: int = 16_000
    window: int = 400
    hop: int = 160
    bands: int = 64
    slope: int = 9

    length_s = 10.0
    context_s = 0.1

    @property
    def dim(self) -> int:
        return 2 * self.bands

    @property
    def backbone(self) -> str:
        return f"logmel-{value_hash(self.settings)}"

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"model": "logmel", **to_plain(asdict(self))}

    def vectors(self, samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """See `SoundModel`. Sound is continued with silence to `slope` spectra if it is shorter."""
        shortest = self.window + (self.slope - 1) * self.hop
        whole = np.pad(samples, (0, max(0, shortest - len(samples))))
        energies = librosa.feature.melspectrogram(
            y=whole,
            sr=self.rate,
            n_fft=self.window,
            hop_length=self.hop,
            n_mels=self.bands,
            fmin=_LEAST_BAND_HZ,
            center=False,
        )
        decibels = 10 * np.log10(np.maximum(energies, _FLOOR))
        slopes = librosa.feature.delta(decibels, width=self.slope, mode="nearest")
        centres = np.arange(energies.shape[1], dtype=np.float64) * self.hop + self.window / 2
        return np.asarray(centres, np.float64), np.concatenate([decibels, slopes]).T.astype(np.float32)


def model(name: str, options: SoundOptions) -> LogMel:
    return LogMel()
