"""Filters over the columns of one video, and the filling of gaps before them, as pure functions.

Filters use only existing frames: windows are smaller at the edges, and no values are invented beyond them. Each column
is filtered separately, in time linear in the number of frames.
Shapes: T time, K columns (classes, or other predicted values).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import ConfigError, DataError

Columns = NDArray[np.float32]

_TRUNCATE = 4.0


def fill_gaps(values: Columns, predicted: NDArray[np.bool_], default: float) -> Columns:
    """Fill frames without a prediction: linearly between their neighbours, with the nearest value at the edges.

    values: (T, K); predicted: (T,) True for frames with a prediction; default: the value of all frames when none has
    one. Returns (T, K).
    """
    if predicted.all():
        return values.copy()
    if not predicted.any():
        return np.full_like(values, default)
    frames = np.arange(len(values))
    known = frames[predicted]
    columns = [np.interp(frames, known, column[predicted]) for column in values.T]
    return np.stack(columns, axis=1).astype(values.dtype)


def box(values: Columns, width: int) -> Columns:
    """The mean over the `width` frames around each, (T, K), in O(T) for any width.

    values: (T, K). Raises ConfigError when the width is even: the window would be off centre by half a frame.
    """
    require_odd(width)
    require_finite(values)
    num_frames = len(values)
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)])
    frames = np.arange(num_frames)
    first = np.maximum(frames - width // 2, 0)
    end = np.minimum(frames + width // 2 + 1, num_frames)
    means: Columns = ((sums[end] - sums[first]) / (end - first)[:, None]).astype(values.dtype)
    return means


def gaussian(values: Columns, sigma: float) -> Columns:
    """The mean with Gaussian weights of `sigma` frames, cut off at 4 sigma, (T, K), in O(T · sigma).

    values: (T, K). Raises ConfigError when sigma is not above 0.
    """
    require_positive(sigma)
    require_finite(values)
    # Loaded on use: it takes half a second, and most filters do without.
    from scipy.ndimage import gaussian_filter1d

    num_frames = len(values)
    if num_frames == 0:
        return values.copy()
    # A longer kernel would only add positions outside the video.
    radius = int(min(_TRUNCATE * sigma + 0.5, num_frames - 1))
    sums = gaussian_filter1d(values.astype(np.float64), sigma, axis=0, mode="constant", radius=radius)
    weights = gaussian_filter1d(np.ones((num_frames, 1)), sigma, axis=0, mode="constant", radius=radius)
    means: Columns = (sums / weights).astype(values.dtype)
    return means


def median(values: Columns, width: int) -> Columns:
    """The median over the `width` frames around each, (T, K).

    At the edges, the median of an even number of frames is the mean of the middle two. values: (T, K), finite. Raises
    ConfigError when the width is even.
    """
    require_odd(width)
    require_finite(values)
    num_frames = len(values)
    if num_frames == 0:
        return values.copy()
    half = min(width // 2, num_frames - 1)
    columns = [(_median(column, half, np.inf) + _median(column, half, -np.inf)) / 2 for column in values.T]
    return np.stack(columns, axis=1).astype(values.dtype)


def _median(column: NDArray[np.float32], half: int, first: float) -> NDArray[np.float64]:
    """The median over windows of 2 · half + 1 frames of a column (T,), which is padded with infinite values.

    The padding is `first`, -first, … going outwards from the first frame, and -first, first, … from the last. Equal
    numbers of values above and below all others do not change the median; with one more `first`, the median is the
    upper or the lower of the middle two.
    """
    # Loaded on use: as above.
    from scipy.ndimage import median_filter

    outside = np.where(np.arange(half) % 2 == 0, first, -first)
    padded = np.concatenate([outside[::-1], column.astype(np.float64), -outside])
    medians: NDArray[np.float64] = median_filter(padded, size=2 * half + 1)[half : half + len(column)]
    return medians


def require_finite(values: NDArray[np.floating]) -> None:
    """Raise DataError, naming the first frame, unless the values (T, K) are finite: a filter would spread one NaN."""
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        raise DataError(
            f"frame {int(finite.argmin()) + 1} has a value that is not a finite number ({int((~finite).sum())} such "
            "frames); filters need finite values"
        )


def require_odd(width: float) -> None:
    """Raise ConfigError unless `width` is an odd number of frames."""
    if width < 1 or width % 2 != 1:
        raise ConfigError(f"smoothing width {width:g}: expected an odd number of frames, 1 or more")


def require_positive(value: float) -> None:
    """Raise ConfigError unless `value`, a sigma or a weight, is above 0."""
    if not 0 < value < float("inf"):
        raise ConfigError(f"smoothing by {value:g}: expected a number above 0")
