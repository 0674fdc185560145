"""Reading feature stores together with the labels of their videos.

Shapes: T time, D feature.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.core.progress import Progress, silent
from abaw.core.text import listed
from abaw.data.clips import Clip, ClipSet
from abaw.protocol.labels import FrameLabels
from abaw.stores.arrow import StoreError
from abaw.stores.features import FeatureStore, open_features


def read_clips(
    sources: Sequence[Sequence[Path]],
    labels: Mapping[str, FrameLabels],
    tasks: Sequence[str] = ("expression",),
    progress: Progress = silent,
    elsewhere: Collection[str] = (),
) -> tuple[ClipSet, list[str]]:
    """Read the features and labels of every annotated video; stores and annotations are matched by name.

    sources: the stores of each source; features of several sources are concatenated in this order, and a frame has a
    face where all of them have one. tasks: those whose labels are kept. elsewhere: videos whose annotations belong to
    another split; their stores are left out without a warning.
    Returns the clips and warnings: annotations without a store, stores without annotations, different lengths.
    Raises DataError when no name matches, and StoreError when a store is damaged, when the stores of one source come
    from different backbones, or when sources differ in a video's number of frames.
    """
    paths = [{path.stem: path for path in stores} for stores in sources]
    shared = [name for name in paths[0] if all(name in others for others in paths[1:])]
    names = [name for name in shared if name in labels]
    if not names:
        raise DataError(
            f"no annotation matches a feature store: there are annotations of {listed(list(labels))} and stores of "
            f"{listed(shared)}; give --features and --annotations of the same videos"
        )
    opened = [[open_features(by_name[name]) for by_name in paths] for name in names]
    for source in zip(*opened, strict=True):
        _require_one_backbone(source)
    clips = []
    for index, stores in enumerate(opened):
        clips.append(_read_clip(stores, labels[names[index]], tasks))
        progress(index + 1, len(opened))
    first_stores = [stores[0] for stores in opened]
    warnings = (
        _in_some_sources(paths, shared) + _unmatched(shared, labels, elsewhere) + _odd_lengths(first_stores, labels)
    )
    dim = sum(store.feature_dim for store in opened[0])
    origin = sorted({name for store in opened[0] for name in store.meta.get("trained_on", ())})
    return ClipSet(tuple(clips), joined_backbone(opened[0]), dim, tuple(origin)), warnings


def joined_backbone(stores: Sequence[FeatureStore]) -> str:
    """The name of the features of several sources: their backbones in this order, joined by `+`."""
    return "+".join(store.backbone for store in stores)


def joined_features(stores: Sequence[FeatureStore]) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
    """The features of one video from all its sources, (T, D), 0 where not present, and the mask `present`, (T,).

    Raises StoreError when rows are missing or the sources differ in the number of frames.
    """
    for store in stores:
        if len(store) != len(stores[0]):
            raise StoreError(
                f"{store.store.path}: {len(store)} frames, but {stores[0].store.path} has {len(stores[0])}; "
                "write both from the same faces (`abaw features`)"
            )
    present = np.logical_and.reduce([store.valid for store in stores])
    features = np.concatenate([store.features() for store in stores], axis=1)
    if len(stores) > 1:
        features[~present] = 0
    return features, present


def _require_one_backbone(stores: Sequence[FeatureStore]) -> None:
    first = stores[0]
    for store in stores[1:]:
        if (store.backbone, store.feature_dim) != (first.backbone, first.feature_dim):
            raise StoreError(
                f"{store.store.path}: made by backbone {store.backbone} ({store.feature_dim} features), but "
                f"{first.store.path.name} by {first.backbone} ({first.feature_dim}); "
                "write all of them with one checkpoint (`abaw features`)"
            )


def _read_clip(stores: Sequence[FeatureStore], labels: FrameLabels, tasks: Sequence[str]) -> Clip:
    known, valid = joined_features(stores)
    num_frames = max(len(known), len(labels.expression))
    features = np.zeros((num_frames, known.shape[1]), dtype=np.float16)
    features[: len(known)] = known
    present = np.zeros(num_frames, dtype=np.bool_)
    present[: len(known)] = valid
    whole = labels.for_frames(num_frames)
    return Clip(
        stores[0].name,
        features,
        present,
        whole.expression,
        whole.valence_arousal if "valence_arousal" in tasks else None,
        whole.action_units if "action_units" in tasks else None,
    )


def _in_some_sources(paths: Sequence[Mapping[str, Path]], shared: Sequence[str]) -> list[str]:
    partly = sorted({name for by_name in paths for name in by_name} - set(shared))
    return [f"{len(partly)} videos lack features of some sources and are not used: {listed(partly)}"] * bool(partly)


def _unmatched(stored: Sequence[str], labels: Mapping[str, FrameLabels], elsewhere: Collection[str]) -> list[str]:
    without_store = [name for name in labels if name not in stored]
    without_labels = [name for name in stored if name not in labels and name not in elsewhere]
    warnings = []
    if without_store:
        warnings.append(f"{len(without_store)} annotation files have no feature store: {listed(without_store)}")
    if without_labels:
        warnings.append(
            f"{len(without_labels)} feature stores have no annotations and are not used: {listed(without_labels)}"
        )
    return warnings


def _odd_lengths(stores: Sequence[FeatureStore], labels: Mapping[str, FrameLabels]) -> list[str]:
    extra = {store.name: len(labels[store.name].expression) - len(store) for store in stores}
    odd = [f"{name} {lines:+d}" for name, lines in extra.items() if lines]
    if not odd:
        return []
    return [
        f"{len(odd)} label files are longer (+) or shorter (-) than their video: {listed(odd)}; frames without a line "
        "count as unlabelled, lines without a frame as frames without a face"
    ]
