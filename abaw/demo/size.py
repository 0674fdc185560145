"""The size of the demo data set, in a separate module so that parsing a configuration does not load OpenCV."""

from __future__ import annotations

from dataclasses import dataclass

from abaw.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class DemoSize:
    """How much is rendered.

    Args:
        train_videos: videos of the training split
        validation_videos: videos of the validation split
        test_videos: videos of the test split
        frames_per_video: mean number of frames per video
        segments_per_video: expressions that a person shows in a video, one after another
        frame_wh: width and height of a frame with one person, in pixels; videos of two people are wider
        fps: frames per second
        labelled_stills: labelled photographs, of people who are in no video
        unlabelled_stills: photographs without labels
    """

    train_videos: int = 60
    validation_videos: int = 16
    test_videos: int = 6
    frames_per_video: int = 100
    segments_per_video: int = 3
    frame_wh: tuple[int, int] = (224, 224)
    fps: int = 25
    labelled_stills: int = 1600
    unlabelled_stills: int = 200

    def __post_init__(self) -> None:
        if min(self.train_videos, self.validation_videos, self.test_videos) < 1:
            raise ConfigError("each of train_videos, validation_videos and test_videos must be at least 1")
        if self.frames_per_video < 2 * self.fps:
            raise ConfigError(
                f"frames_per_video {self.frames_per_video}: expected at least {2 * self.fps}, two seconds"
            )
        if self.frames_per_video < self.segments_per_video * self.fps:
            raise ConfigError(
                f"segments_per_video {self.segments_per_video}: an expression lasts at least one second, so expected "
                f"at most {self.frames_per_video // self.fps} in {self.frames_per_video} frames at {self.fps} fps"
            )
        if min(self.frame_wh) < 96 or any(side % 2 for side in self.frame_wh):
            raise ConfigError(f"frame_wh {self.frame_wh}: expected even numbers of at least 96 pixels")
