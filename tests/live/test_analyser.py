"""Live analysis: it depends on past pictures alone, filters like the pass over a whole video, and forgets people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from abaw.core.errors import ConfigError
from abaw.inference.video import VideoModels, load_models
from abaw.live.analyser import Analyser, LiveFrame
from abaw.sequence.causal import exponential
from abaw.video.detecting.detector import Detector
from abaw.video.detecting.registry import open_detector
from tests.video.clips import noise, portraits

TIMES = [0.04 * index for index in range(30)]


@pytest.fixture(scope="module")
def detector() -> Detector:
    return open_detector("builtin")


@pytest.fixture(scope="module")
def models() -> VideoModels:
    return load_models(Path("builtin"), accelerator="cpu")


def analysed(detector: Detector, models: VideoModels, tau_s: float, pictures: list[np.ndarray]) -> list[LiveFrame]:
    analyser = Analyser(detector, models, tau_s)
    return [analyser.push(one, time) for one, time in zip(pictures, TIMES, strict=False)]


def plain(frames: list[LiveFrame]) -> list[object]:
    return [frame.to_plain() for frame in frames]


def test_results_depend_on_earlier_pictures_alone(detector: Detector, models: VideoModels) -> None:
    pictures = [*portraits(10, 256), *noise(3, 256), *portraits(6, 256)]
    whole = analysed(detector, models, 0.2, pictures)
    assert plain(analysed(detector, models, 0.2, pictures[:12])) == plain(whole[:12])
    assert all(len(frame.people) == 1 for frame in whole[:10])
    assert not any(frame.people for frame in whole[10:13])
    assert [frame.index for frame in whole] == list(range(1, 20))


def test_the_filter_equals_the_pass_over_the_whole_video(detector: Detector, models: VideoModels) -> None:
    pictures = portraits(15, 256)
    raw, live = (analysed(detector, models, tau_s, pictures) for tau_s in (0.0, 0.15))
    probs = np.stack([frame.people[0].probs for frame in raw])
    expected = exponential(probs, np.array(TIMES[:15]), 0.15)
    np.testing.assert_allclose(np.stack([frame.people[0].probs for frame in live]), expected, atol=1e-6)
    assert np.ptp(probs, axis=0).max() > 0.001  # the pictures differ


def test_two_people_have_their_own_filters(detector: Detector, models: VideoModels) -> None:
    side_by_side = [np.concatenate([one, one[:, ::-1]], axis=1) for one in portraits(8, 256)]
    frames = analysed(detector, models, 0.2, side_by_side)
    assert [one.number for one in frames[-1].people] == [1, 2]
    first, second = frames[-1].people
    assert first.probs.shape == (8,) and not np.array_equal(first.probs, second.probs)


def test_people_who_are_gone_are_forgotten(detector: Detector, models: VideoModels) -> None:
    analyser = Analyser(detector, models, 0.2)
    analyser.push(portraits(1, 256)[0], 0.0)
    blank = np.zeros((256, 256, 3), np.uint8)
    for index in range(1, 20):
        analyser.push(blank, 0.04 * index)
    assert not analyser._people


def test_a_temporal_model_that_needs_later_frames_is_refused(detector: Detector) -> None:
    with pytest.raises(ConfigError, match="model.causal"):
        Analyser(detector, load_models(Path("builtin"), Path("builtin"), "cpu"), 0.0)
