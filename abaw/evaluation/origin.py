"""Which scored videos were used to train the models that made the predictions, or to choose what is scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from abaw.core.text import listed
from abaw.protocol.layout import video_of
from abaw.sequence.smooth import Smoothing

VIDEO_LISTS = ("trained_on", "selected_on", "weights_chosen_on")
"""Keys of the metadata of predictions that list videos which their models have seen."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What models and smoothings have seen of the scored videos; the people of one video count as one.

    num_videos: number of scored videos. Names of scored videos: trained_on: a model that predicted the video was
    trained on it; selected_on: the checkpoint's step was chosen on it; weights_chosen_on: the weights of fused models
    were; smoothing_chosen_on: a smoothing was; unknown: its predictions do not say. num_trainings: number of different
    sets of training videos of the models that made the predictions. smoothings_unknown: the smoothings of which it is
    unknown where they were chosen.
    """

    num_videos: int
    trained_on: tuple[str, ...]
    selected_on: tuple[str, ...]
    unknown: tuple[str, ...]
    num_trainings: int
    weights_chosen_on: tuple[str, ...] = ()
    smoothing_chosen_on: tuple[str, ...] = ()
    smoothings_unknown: tuple[str, ...] = ()

    @property
    def leaked(self) -> bool:
        """Models, their weights or a smoothing were trained or chosen on scored videos: no figure is unbiased."""
        return bool(self.trained_on or self.selected_on or self.weights_chosen_on or self.smoothing_chosen_on)

    @property
    def out_of_fold(self) -> bool:
        """Every video was predicted by models that were not trained on it, and there were several trainings."""
        return self.num_trainings > 1 and not self.trained_on and not self.unknown

    @property
    def clean(self) -> bool:
        """No scored video was used for training or selection, and this is known for all of them."""
        return not (self.leaked or self.unknown or self.smoothings_unknown)

    def warnings(self) -> tuple[str, ...]:
        """Why the figures are, or may be, too high; one sentence each."""
        found = []
        if self.trained_on:
            found.append(
                f"TRAINED ON SCORED VIDEOS: {self._share(self.trained_on)} were training videos of the models that "
                "predicted them; the figures do not apply to new videos"
            )
        if self.selected_on:
            found.append(
                f"CHOSEN ON SCORED VIDEOS: the checkpoint is the best step on {self._share(self.selected_on)}; the "
                "figures are too high (the checkpoint `last` is not chosen this way)"
            )
        if self.weights_chosen_on:
            found.append(
                f"WEIGHTS CHOSEN ON SCORED VIDEOS: the weights of the fused models were fitted to the annotations of "
                f"{self._share(self.weights_chosen_on)}; the figures are too high (the nested score that `abaw fuse` "
                "reports is not)"
            )
        if self.smoothing_chosen_on:
            found.append(
                "SMOOTHING CHOSEN ON SCORED VIDEOS: by its file, a smoothing was chosen on "
                f"{self._share(self.smoothing_chosen_on)}; the figures are too high (the nested score of the report "
                "that wrote the file is not)"
            )
        if self.unknown:
            found.append(
                f"the predictions of {self._share(self.unknown)} do not say which videos their models were trained on; "
                "it is unknown whether the figures apply to new videos"
            )
        found += [
            f"the file of smoothing '{smoothing}' does not say on which videos it was chosen; it is unknown whether "
            "the figures are too high"
            for smoothing in self.smoothings_unknown
        ]
        return tuple(found)

    def summary(self) -> str:
        """One sentence: that all is well, or the first warning."""
        if self.out_of_fold:
            chosen = [
                ("steps", self.selected_on),
                ("weights", self.weights_chosen_on),
                ("smoothings", self.smoothing_chosen_on),
            ]
            what = " and ".join(name for name, videos in chosen if videos)
            tail = f", but their {what} were chosen on scored videos" if what else ""
            return (
                f"out-of-fold: each of the {self.num_videos} videos was predicted by models that were not trained on "
                f"it ({self.num_trainings} trainings){tail}"
            )
        if self.clean:
            return f"no model was trained or chosen on any of the {self.num_videos} scored videos"
        return self.warnings()[0]

    def _share(self, names: tuple[str, ...]) -> str:
        return f"{len(names)} of {self.num_videos} scored videos ({listed(names, shown=5)})"


def origin_of(metas: Mapping[str, Mapping[str, Any]], smoothings: Sequence[Smoothing] = ()) -> Origin:
    """The origin of a set of predictions and of the smoothings with which they are scored.

    metas: the metadata of each scored video's predictions, by name; the VIDEO_LISTS may be missing.
    """
    chosen_on = _videos(tuple(name for smoothing in smoothings for name in smoothing.chosen_on or ()))
    seen: dict[str, list[str]] = {key: [] for key in VIDEO_LISTS}
    for name, meta in metas.items():
        for key, names in seen.items():
            if video_of(name) in _videos(tuple(meta.get(key, ()))):
                names.append(name)
    return Origin(
        num_videos=len(metas),
        unknown=tuple(name for name, meta in metas.items() if "trained_on" not in meta),
        num_trainings=len({tuple(meta["trained_on"]) for meta in metas.values() if "trained_on" in meta}),
        smoothing_chosen_on=tuple(name for name in metas if video_of(name) in chosen_on),
        smoothings_unknown=tuple(str(smoothing) for smoothing in smoothings if smoothing.chosen_on is None),
        **{key: tuple(names) for key, names in seen.items()},
    )


def _videos(names: tuple[str, ...]) -> set[str]:
    return {video_of(name) for name in names}
