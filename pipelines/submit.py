"""`abaw submit`: predictions + template -> submission file, checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from abaw.core.errors import ConfigError, DataError
from pipelines.check_submission import tell_faults
from pipelines.console import progress, result, say, warn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from abaw.protocol.template import Template
    from abaw.sequence.smooth import Smoothing
    from abaw.submission.write import Written

_LISTED = 10


@dataclass(frozen=True, kw_only=True)
class SubmitConfig:
    """Write the file to be handed in: every row of the template, in its order.

    Args:
        predictions: folder of prediction stores (`abaw predict`) of the template's videos
        template: the file with all rows that the organisers hand out
        out: the submission file; one that stands there is replaced
        edition: edition of the challenge
        smoothing: filter over the probabilities: none, or box:WIDTH with an odd number of frames
    """

    predictions: Path
    template: Path
    out: Path
    edition: str = "abaw6"
    smoothing: str = "none"


def run(config: SubmitConfig) -> int:
    """Exit status: 1 when the written file has an error, else 0.

    Raises DataError when a video of the template has no predictions (then nothing is written).
    """
    from abaw.protocol.editions import edition
    from abaw.protocol.template import read_template
    from abaw.sequence.smooth import parse_smoothing
    from abaw.submission.check import check_submission
    from abaw.submission.write import write_submission

    chosen, smoothing = edition(config.edition), parse_smoothing(config.smoothing)
    if config.out.resolve() == config.template.resolve():
        raise ConfigError(f"{config.out}: --out is the template itself; choose another --out")
    template = read_template(config.template)
    labels = _labels(config.predictions, template, smoothing)
    written = write_submission(config.out, template, chosen, labels)
    _tell(written)
    faults = check_submission(config.out, template, chosen)
    status = tell_faults(config.out, written.num_rows, faults)
    if not status:
        result(f"submission: {config.out} ({written.num_rows} rows, {written.num_videos} videos), checked")
    return status


def _labels(folder: Path, template: Template, smoothing: Smoothing) -> dict[str, NDArray[np.int8]]:
    """The class of every frame of the template's videos, as far as there are predictions."""
    from abaw.inference.decode import decode
    from abaw.stores.arrow import find_stores
    from abaw.stores.predictions import read_predictions

    stores = {path.stem: path for path in find_stores([folder])}
    videos = [video for video in template.videos() if video in stores]
    others = len(stores) - len(videos)
    if others:
        say(f"{others} videos with predictions are not in the template and are left out")
    if not videos:
        raise DataError(f"{folder}: has no predictions of any video of {template.path}; predict the test videos first")
    labels = {}
    with progress("reading predictions", "videos") as hook:
        for done, video in enumerate(videos, start=1):
            predictions = read_predictions(stores[video])
            if not predictions.predicted.any():
                warn(f"{video}: no frame was predicted; all its rows get the first class")
            labels[video] = decode(predictions, smoothing).labels
            hook(done, len(videos))
    return labels


def _tell(written: Written) -> None:
    if not written.extended:
        return
    some = [f"{video} ({count})" for video, count in list(written.extended.items())[:_LISTED]]
    more = f" and {len(written.extended) - _LISTED} more" if len(written.extended) > _LISTED else ""
    warn(
        f"{sum(written.extended.values())} rows lie behind the last decoded frame of their video and repeat its class: "
        f"{', '.join(some)}{more}"
    )
