"""`abaw submit`: predictions + template -> submission, checked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from abaw.core.errors import ConfigError, DataError
from abaw.core.text import listed
from pipelines.check_submission import report_faults
from pipelines.console import progress, result, say, warn
from pipelines.inputs import InputPath
from pipelines.smoothing import is_file, read_smoothings

if TYPE_CHECKING:
    from abaw.protocol.editions import Edition
    from abaw.sequence.smooth import Smoothing
    from abaw.submission.write import Written

_LISTED = 10


@dataclass(frozen=True, kw_only=True)
class SubmitConfig:
    """Write the submission file: every row of the template, in its order. It is then checked.

    Args:
        predictions: folder of prediction stores (`abaw predict`) of the template's videos
        template: the file with all rows that the organisers provide; for edition abaw3, a list of the test videos is
            enough
        out: the submission file, which replaces an existing one; for abaw3, a folder that does not exist yet
        edition: edition of the challenge, see docs/submission.md
        smoothing: filter of the probabilities: none, box:WIDTH, median:WIDTH, gaussian:SIGMA (in frames, or in seconds
            as in gaussian:0.4s), viterbi:WEIGHT or forward_backward:WEIGHT, or the smoothing.json of `abaw validate`,
            which has everything that was fitted
        transitions: annotation folder from whose Train_Set viterbi and forward_backward count how classes follow each
            other
        transitions_fps: frame rate of these annotations, by default the median of the predictions'
        thresholds: twelve numbers, the probability from which each action unit is on, or the thresholds.json of
            `abaw validate --fit_thresholds`; .5 if not given
        class_bias: eight numbers, added to the logarithms of the smoothed probabilities of the eight classes; for
            viterbi and forward_backward to those of each frame, before WEIGHT

    Examples:
        abaw submit --predictions predictions/ --template predictions_template.txt --out predictions.txt
        abaw submit --predictions predictions/ --template template.txt --smoothing box:101 --out predictions.txt
    """

    predictions: InputPath
    template: InputPath
    out: Path
    edition: str = "abaw6"
    smoothing: str = "none"
    transitions: InputPath | None = None
    transitions_fps: float | None = None
    class_bias: tuple[float, ...] = ()
    thresholds: tuple[str, ...] = ()


def run(config: SubmitConfig) -> int:
    """Return the exit status: 1 when the written submission has an error, else 0.

    Raises DataError, and writes nothing, when a video of the template has no predictions.
    """
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.protocol.editions import edition

    chosen = edition(config.edition)
    if config.out.resolve() == config.template.resolve():
        raise ConfigError(f"{config.out}: --out is the template itself; choose another --out")
    smoothing = _smoothing(config, chosen)
    return (_submit_folder if chosen.layout == "files" else _submit_file)(config, chosen, smoothing)


def _smoothing(config: SubmitConfig, edition: Edition) -> Smoothing:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.sequence.smooth import needs_transitions

    if not edition.classes and (needs_transitions(config.smoothing) or is_file(config.smoothing)):
        raise ConfigError(
            f"smoothing '{config.smoothing}' is a path through classes, and {edition.name} has none; use box, median "
            "or gaussian"
        )
    if not edition.classes and config.class_bias:
        raise ConfigError(f"--class_bias: {edition.name} has no classes; leave it out")
    (smoothing,), _ = read_smoothings(
        [config.smoothing], config.transitions, config.transitions_fps, [config.predictions]
    )
    if edition.task == "compound" and smoothing.name == "viterbi":
        raise ConfigError(
            "smoothing 'viterbi' leaves only one class per frame, but compound classes need two; use 'forward_backward'"
        )
    return smoothing.biased(config.class_bias) if config.class_bias else smoothing


def _submit_file(config: SubmitConfig, edition: Edition, smoothing: Smoothing) -> int:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.protocol.template import read_template, require_edition
    from abaw.submission.check import check_submission
    from abaw.submission.write import write_submission

    template = read_template(config.template)
    require_edition(template, edition)
    values = _values(config, template.videos(), edition, smoothing)
    written = write_submission(config.out, template, edition, values)
    _report_warnings(written, edition)
    status = report_faults(
        config.out, f"{written.num_rows} rows as in the template", check_submission(config.out, template, edition)
    )
    return _report_result(config.out, written, status)


def _submit_folder(config: SubmitConfig, edition: Edition, smoothing: Smoothing) -> int:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.protocol.template import read_video_list
    from abaw.submission.folder import check_folder
    from abaw.submission.write import write_folder

    videos = read_video_list(config.template)
    values = _values(config, videos.num_frames, edition, smoothing)
    written = write_folder(config.out, videos, edition, values)
    _report_warnings(written, edition)
    videos = videos.with_frames({name: len(rows) for name, rows in values.items()})
    status = report_faults(config.out, f"{written.num_videos} files", check_folder(config.out, videos, edition))
    return _report_result(config.out, written, status)


def _values(
    config: SubmitConfig, wanted: Collection[str], edition: Edition, smoothing: Smoothing
) -> dict[str, list[str]]:
    """Video -> the values of each frame, for the wanted videos that have predictions."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.inference.decode import decode
    from abaw.inference.fuse import fusion_lines
    from abaw.stores.arrow import find_stores, read_header
    from abaw.stores.predictions import KIND, read_predictions
    from abaw.submission.thresholds import read_thresholds
    from abaw.submission.values import frame_values

    stores = {path.stem: path for path in find_stores([config.predictions])}
    videos = [video for video in wanted if video in stores]
    others = len(stores) - len(videos)
    if others:
        say(f"{others} videos with predictions are not in the template and are left out")
    if not videos:
        raise DataError(
            f"{config.predictions}: no predictions for any video of {config.template}; predict the test videos first"
        )
    thresholds = read_thresholds(config.thresholds, edition)
    for line in fusion_lines(read_header(stores[videos[0]], KIND).meta):
        say(f"predictions: {line}")
    values = {}
    with progress("reading predictions", "videos") as hook:
        for done, video in enumerate(videos, start=1):
            predictions = read_predictions(stores[video])
            if not predictions.predicted.any():
                warn(f"{video}: no frame was predicted; all its rows get {'the first class' if edition.classes else 0}")
            values[video] = frame_values(video, decode(predictions, smoothing), edition, thresholds)
            hook(done, len(videos))
    return values


def _report_warnings(written: Written, edition: Edition) -> None:
    if edition.note:
        warn(f"{edition.name}: {edition.note}")
    if not written.extended:
        return
    extended = [f"{video} ({count})" for video, count in written.extended.items()]
    warn(
        f"{sum(written.extended.values())} rows are after the last decoded frame of their video and repeat its "
        f"{'class' if edition.classes else 'values'}: {listed(extended, _LISTED)}"
    )


def _report_result(out: Path, written: Written, status: int) -> int:
    if not status:
        result(f"submission: {out} ({written.num_rows} rows, {written.num_videos} videos), checked")
    return status
