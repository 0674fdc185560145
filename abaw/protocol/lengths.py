"""Lengths that should be equal: the frames of a video, its label lines, template rows, rows of features."""

from __future__ import annotations

TOLERANCE = 16
"""Decoders that do not return the frames they hold back at the end, or return a frame twice, differ by up to the 16
frames that H.264 allows."""


def length_difference(one: tuple[int, str], other: tuple[int, str], tolerance: int) -> tuple[str, bool]:
    """`5003 rows, 5000 frames: +3`, and whether the difference is larger than the tolerance.

    one, other: a number and what is counted; they differ.
    """
    difference = one[0] - other[0]
    message = f"{one[0]} {one[1]}, {other[0]} {other[1]}: {difference:+d}"
    too_large = abs(difference) > tolerance
    return (f"{message}, more than {tolerance}" if too_large else message), too_large
