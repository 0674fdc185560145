"""The settings of extraction that change what a store holds."""

from __future__ import annotations

from dataclasses import dataclass

from abaw.core.errors import ConfigError
from abaw.core.ranges import require_at_least, require_positive, require_within


@dataclass(frozen=True)
class ExtractOptions:
    """How faces are detected, tracked and cut out.

    Args:
        reader: what decodes the videos
        square_pixels: resize pictures whose pixels are not square, as players do; otherwise they stay as decoded, as in
            OpenCV and therefore in the official crops
        min_score: faces with a lower detection score are ignored; by default the detector's own threshold
        start_score: faces with a lower score only continue a track, they never start one
        weak_frames: a track whose best score is below 0.8 counts as a person only if it has this many frames (all of a
            shorter video), and a face in at least half of the frames from its first to its last
        max_gap: frames without the face that a track survives
        min_iou: overlap from frame to frame below which a face is somebody else
        min_track_frames: people who are visible on fewer frames get no store with --subjects all
        jpeg_quality: JPEG quality of the crops, 1 to 100
        full_every: the detector runs on the whole picture at least every N frames, 1 for every frame; in between only
            on the regions around known faces
        region: side of such a region, as a multiple of the face's size
        region_px: size in pixels to which a region is resized
        smooth_landmarks: frames before and after over which landmarks are smoothed, 0 for none
        max_score_drop: when the score of a face falls this far below its usual score, the whole picture is searched
    """

    reader: str = "pyav"
    square_pixels: bool = True
    min_score: float | None = None
    start_score: float = 0.6
    weak_frames: int = 5
    max_gap: int = 15
    min_iou: float = 0.3
    min_track_frames: int = 10
    jpeg_quality: int = 95
    full_every: int = 17
    region: float = 1.7
    region_px: int = 152
    max_score_drop: float = 0.2
    smooth_landmarks: int = 2

    def __post_init__(self) -> None:
        if self.min_score is not None and not 0 < self.min_score < 1:
            raise ConfigError(f"min_score {self.min_score}: expected a number between 0 and 1")
        require_at_least(0, self, "max_gap", "smooth_landmarks")
        require_at_least(1, self, "min_track_frames", "full_every", "weak_frames")
        require_within(0, 1, self, "start_score")
        require_positive(self, "min_iou", "max_score_drop")
        require_within(0, 1, self, "min_iou", "max_score_drop")
        require_within(1, 100, self, "jpeg_quality")
        require_within(1.2, 4, self, "region")
        require_within(64, 320, self, "region_px")
