"""The sound of the demo's videos: a synthetic voice per person that follows the arousal of the expression.

What a model can learn from it is fixed here by assumption, not by a measurement on any model:

- A voice carries arousal and nothing else. Arousal per class is that of Russell and Mehrabian (1977, "Evidence for a
  three-factor theory of emotions") to one decimal. Anger and fear sound the same, and surprise and happiness nearly so.
  "Other", a playful wink in the demo, is assumed to be a little aroused.
- Loudness, pitch, brightness and the rate of syllables rise with arousal together (Scherer 2003, "Vocal communication
  of emotion"), so that they are one cue, not four.
- The voice follows the label with noise, see `DemoSound`. Over the frames of the demo, arousal and what the voice
  conveys correlate by about .9. An observer who knows the noise, and where segments begin and end, would reach a
  macro F1 of about .45 to .50 from this cue, where guessing by class shares scores about .12.
- A person is heard while not in the picture. Two people in a video are heard at once, and nothing says who is who.

The sound draws from its own random stream: pictures and labels are the same with and without it.
Shapes: T frames, N samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from abaw.core.seed import numpy_generator
from abaw.demo.cast import Labels
from abaw.demo.shots import VideoPlan, performance
from abaw.demo.timeline import wander
from abaw.protocol.classes import EXPRESSION_CLASSES

Samples = npt.NDArray[np.float32]
_Curve = npt.NDArray[np.floating]

AROUSAL: Final[Mapping[str, float]] = {
    "Neutral": 0.0,
    "Anger": 0.6,
    "Disgust": 0.4,
    "Fear": 0.6,
    "Happiness": 0.5,
    "Sadness": -0.3,
    "Surprise": 0.7,
    "Other": 0.2,
}
RATE: Final = 16_000
"""Samples per second."""
_MAX_PITCH_HZ = 4000.0


@dataclass(frozen=True, slots=True)
class DemoSound:
    """How clearly the voice follows the expression, and how noisy it is. Arousal is on the scale of `AROUSAL`.

    person: standard deviation of the constant difference between a person's voice and the expression's arousal;
    wander: standard deviation of a difference that changes over time, within about `wander_s` seconds; onset_s: how
    gradually the voice changes at a border between segments (standard deviation of a Gaussian); loudness_db: added per
    unit of arousal; octaves: added to the pitch per unit of arousal; pitch_spread: standard deviation of the people's
    pitches in octaves; noise_db: level of the background noise below that of a neutral voice.
    """

    person: float = 0.06
    wander: float = 0.12
    wander_s: float = 0.2
    onset_s: float = 0.1
    loudness_db: float = 16.0
    octaves: float = 1.0
    pitch_spread: float = 0.15
    noise_db: float = 20.0


SOUND: Final = DemoSound()
_NEUTRAL_DB = -26.0
_NEUTRAL_HZ = 140.0
_SYLLABLES_HZ = 3.5


def sound_of(plan: VideoPlan, settings: DemoSound = SOUND) -> Samples:
    """The sound of a video, mono, (N,) within ±1; it is as long as the picture."""
    times = np.arange(round(plan.num_frames / plan.fps * RATE)) / RATE
    rng = numpy_generator(plan.seed, plan.name, "background noise")
    total = _gain(_NEUTRAL_DB - settings.noise_db) * rng.standard_normal(len(times))
    for person in range(len(plan.classes)):
        rng = numpy_generator(plan.seed, plan.name, "voice", person)
        arousal = voiced_arousal(performance(plan, person).labels, plan.fps, settings, rng)
        total += _voice(np.interp(times, np.arange(plan.num_frames) / plan.fps, arousal), settings, rng)
    return np.clip(total, -0.99, 0.99).astype(np.float32)


def voiced_arousal(labels: Labels, fps: int, settings: DemoSound, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """The arousal that a voice conveys, per frame, (T,). labels: (T,) the class shown."""
    shown = np.asarray([AROUSAL[name] for name in EXPRESSION_CLASSES])[labels]
    followed = gaussian_filter1d(shown, settings.onset_s * fps, mode="nearest")
    drift = settings.wander * wander(len(labels), settings.wander_s * fps, rng)
    return np.asarray(followed + settings.person * rng.standard_normal() + drift, np.float64)


def _voice(arousal: _Curve, settings: DemoSound, rng: np.random.Generator) -> _Curve:
    """A harmonic tone in syllables, (N,). arousal: (N,)."""
    base_hz = _NEUTRAL_HZ * 2.0 ** (settings.pitch_spread * rng.standard_normal())
    pitch_hz = base_hz * 2.0 ** (settings.octaves * arousal)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE
    brightness = np.clip(arousal - 2.0, -3.0, -0.5)
    turn = np.exp(1j * phase)
    tone, wave, power = np.ones_like(turn), np.zeros_like(phase), np.zeros_like(phase)
    for harmonic in range(1, int(_MAX_PITCH_HZ / base_hz) + 1):
        tone *= turn
        strength = harmonic**brightness * (harmonic * pitch_hz < _MAX_PITCH_HZ)
        wave += strength * tone.imag
        power += strength**2 / 2
    rate_hz = _SYLLABLES_HZ + np.clip(2.0 * arousal, -2.0, 4.0)
    syllables = 0.7 + 0.3 * np.sin(2 * np.pi * np.cumsum(rate_hz) / RATE + rng.uniform(0, 2 * np.pi))
    return np.asarray(wave / np.sqrt(power) * syllables * _gain(_NEUTRAL_DB + settings.loudness_db * arousal))


def _gain(decibels: _Curve | float) -> _Curve:
    return np.asarray(10.0 ** (np.asarray(decibels) / 20))
