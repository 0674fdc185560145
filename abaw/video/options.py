"""The settings of extraction that change what a store holds."""

from __future__ import annotations

from dataclasses import dataclass

from abaw.core.errors import ConfigError


@dataclass(frozen=True)
class ExtractOptions:
    """How faces are detected, tracked and cut out.

    Args:
        reader: what decodes the videos
        square_pixels: resize pictures whose pixels are not square, as players do; otherwise they stay as decoded, as in
            OpenCV and therefore in the official crops
        min_score: faces with a lower detection score are ignored; by default the detector's own threshold
        max_gap: frames without the face that a track survives
        min_iou: overlap from frame to frame below which a face is somebody else
        min_track_frames: shorter tracks get no store with --subjects all
        jpeg_quality: of the crops, 1 to 100
        full_every: the detector runs on the whole picture at least every N frames, 1 for every frame; in between only
            on the regions around known faces
        region: side of such a region, as a multiple of the face's size
        region_px: size in pixels to which a region is resized
        max_score_drop: when the score of a face falls this far below its usual score, the whole picture is searched
    """

    reader: str = "pyav"
    square_pixels: bool = True
    min_score: float | None = None
    max_gap: int = 15
    min_iou: float = 0.3
    min_track_frames: int = 10
    jpeg_quality: int = 95
    full_every: int = 17
    region: float = 1.7
    region_px: int = 152
    max_score_drop: float = 0.2

    def __post_init__(self) -> None:
        if self.min_score is not None and not 0 < self.min_score < 1:
            raise ConfigError(f"min_score {self.min_score}: expected a number between 0 and 1")
        if self.max_gap < 0:
            raise ConfigError(f"max_gap {self.max_gap}: expected at least 0 frames")
        if not 0 < self.min_iou <= 1:
            raise ConfigError(f"min_iou {self.min_iou}: expected above 0 and at most 1")
        if self.min_track_frames < 1:
            raise ConfigError(f"min_track_frames {self.min_track_frames}: expected at least 1")
        if not 1 <= self.jpeg_quality <= 100:
            raise ConfigError(f"jpeg_quality {self.jpeg_quality}: expected 1 to 100")
        if self.full_every < 1:
            raise ConfigError(f"full_every {self.full_every}: expected at least 1 frame")
        if not 1.2 <= self.region <= 4:
            raise ConfigError(f"region {self.region}: expected 1.2 to 4 sizes of the face")
        if not 64 <= self.region_px <= 320:
            raise ConfigError(f"region_px {self.region_px}: expected 64 to 320 pixels")
        if not 0 < self.max_score_drop <= 1:
            raise ConfigError(f"max_score_drop {self.max_score_drop}: expected above 0 and at most 1")
