"""Reading feature stores together with the labels of their videos.

Shapes: T time, S source, D feature.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.core.progress import Progress, silent
from abaw.core.text import listed
from abaw.data.clips import Clip, ClipSet
from abaw.protocol.labels import FrameLabels
from abaw.stores.arrow import StoreError, learned_from
from abaw.stores.features import FeatureStore, open_features
from abaw.stores.sources import FACE, Source
from abaw.stores.stored_features import MappedRows, StoredFeatures

OfSource = FeatureStore | Source
"""What one source has of a video: a store, or, where the video lacks one, the description of the source."""


@dataclass(frozen=True, slots=True, eq=False)
class VideoFeatures:
    """The features of one video from all its sources.

    features: (T, D) side by side, 0 where not present; present: (T, S); face: (T,) True where a source of a face is
    present, False everywhere without such a source.
    """

    features: NDArray[np.float16]
    present: NDArray[np.bool_]
    face: NDArray[np.bool_]


def read_clips(
    sources: Sequence[Sequence[Path]],
    labels: Mapping[str, FrameLabels],
    tasks: Sequence[str] = ("expression",),
    progress: Progress = silent,
    elsewhere: Collection[str] = (),
) -> tuple[ClipSet, list[str]]:
    """The features and labels of every annotated video; stores and annotations are matched by name.

    The features stay in their stores, whose checksums and values are checked here, once.
    sources: the stores of each source, in the order of the features. A video may lack the store of a source that does
    not describe a face: a video without sound has none. tasks: those whose labels are kept. elsewhere: videos whose
    annotations belong to another split; their stores are left out without a warning.
    Returns the clips and warnings: videos that lack a source, annotations without a store, stores without annotations,
    different lengths.
    Raises DataError when no name matches, and StoreError when a store is damaged, when the stores of one source come
    from different backbones, or when sources differ in a video's number of frames.
    """
    paths = [{path.stem: path for path in stores} for stores in sources]
    shared = usable_names(paths, [described_source(stores) for stores in sources])
    names = [name for name in shared if name in labels]
    if not names:
        raise DataError(
            f"no annotation matches a feature store: there are annotations of {listed(list(labels))} and stores of "
            f"{listed(shared)}; give --features and --annotations of the same videos"
        )
    used = [[by_name[name] for name in names if name in by_name] for by_name in paths]
    described = [described_source(some or stores) for some, stores in zip(used, sources, strict=True)]
    opened = [open_video(name, paths, described) for name in names]
    stores_of = [[each for each in source if isinstance(each, FeatureStore)] for source in zip(*opened, strict=True)]
    for stores in stores_of:
        _require_one_backbone(stores)
    clips = []
    for index, (name, video) in enumerate(zip(names, opened, strict=True)):
        clips.append(_read_clip(name, video, labels[name], tasks))
        progress(index + 1, len(opened))
    first_stores = [first_store(video) for video in opened]
    warnings = _in_some_sources(paths, shared) + _lacking(names, paths, described)
    warnings += _unmatched(shared, labels, elsewhere) + _odd_lengths(first_stores, labels)
    trained_on = tuple(tuple(learned_from(stores)) for stores in stores_of)
    return ClipSet(tuple(clips), tuple(described), trained_on), warnings


def described_source(stores: Sequence[Path]) -> Source:
    """What the stores of one source are, by the first of them that can be read.

    Raises StoreError, for the first store, when none can be read.
    """
    for path in stores:
        try:
            return open_features(path).source
        except StoreError:
            continue
    return open_features(stores[0]).source


def usable_names(paths: Sequence[Mapping[str, Path]], sources: Sequence[Source]) -> list[str]:
    """Names of the videos that have all sources of a face, and at least one source.

    paths: the stores of each source, by name.
    """
    required = [by_name for by_name, source in zip(paths, sources, strict=True) if source.modality == FACE]
    names = dict.fromkeys(name for by_name in paths for name in by_name)
    return [name for name in names if all(name in by_name for by_name in required)]


def open_video(name: str, paths: Sequence[Mapping[str, Path]], sources: Sequence[Source]) -> list[OfSource]:
    """The stores of a video, one per source; the source itself where there is none.

    paths: the stores of each source, by name. Raises StoreError as `open_features`.
    """
    return [
        open_features(by_name[name]) if name in by_name else source
        for by_name, source in zip(paths, sources, strict=True)
    ]


def source_of(part: OfSource) -> Source:
    return part.source if isinstance(part, FeatureStore) else part


def first_store(video: Sequence[OfSource]) -> FeatureStore:
    """The store of the first source that the video has. Raises DataError when it has none."""
    for part in video:
        if isinstance(part, FeatureStore):
            return part
    raise DataError(f"the video has no features of any source ({listed([source_of(part).name for part in video])})")


def joined_features(video: Sequence[OfSource]) -> VideoFeatures:
    """The features of one video from all its sources; a source without a store is present nowhere.

    Raises StoreError when rows are missing or the sources differ in the number of frames.
    """
    present, face = _presence(video)
    parts = [
        part.features() if isinstance(part, FeatureStore) else np.zeros((len(face), part.dim), dtype=np.float16)
        for part in video
    ]
    return VideoFeatures(np.concatenate(parts, axis=1), present, face)


def _presence(video: Sequence[OfSource]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(T, S) where each source is present, and (T,) where there is a face. Raises StoreError as `joined_features`."""
    first = first_store(video)
    for store in video:
        if isinstance(store, FeatureStore) and len(store) != len(first):
            raise StoreError(
                f"{store.store.path}: {len(store)} frames, but {first.store.path} has {len(first)}; "
                "write both from the same faces (`abaw features`)"
            )
    nowhere = np.zeros(len(first), dtype=np.bool_)
    present = np.stack([part.valid if isinstance(part, FeatureStore) else nowhere for part in video], axis=1)
    return present, np.asarray(present[:, [source_of(part).modality == FACE for part in video]].any(axis=1))


def _require_one_backbone(stores: Sequence[FeatureStore]) -> None:
    """Raise StoreError when the stores of one source come from different backbones or describe different things."""
    for store in stores[1:]:
        first, other = stores[0].source, store.source
        if (other.backbone, other.dim, other.modality) != (first.backbone, first.dim, first.modality):
            raise StoreError(
                f"{store.store.path}: made by backbone {other.backbone} ({other.dim} features, {other.modality}), "
                f"but {stores[0].store.path.name} by {first.backbone} ({first.dim}, {first.modality}); "
                "write all of them with one checkpoint (`abaw features`), or import them alike"
            )


def _read_clip(name: str, video: Sequence[OfSource], labels: FrameLabels, tasks: Sequence[str]) -> Clip:
    present, face = _presence(video)
    num_frames = max(len(face), len(labels.expression))
    whole = labels.for_frames(num_frames)
    return Clip(
        name,
        StoredFeatures(tuple(map(_rows, video)), num_frames),
        _lengthened(present, num_frames),
        _lengthened(face, num_frames),
        whole.expression,
        whole.valence_arousal if "valence_arousal" in tasks else None,
        whole.action_units if "action_units" in tasks else None,
        first_store(video).meta.get("fps"),
    )


def _rows(part: OfSource) -> MappedRows | int:
    if not isinstance(part, FeatureStore):
        return part.dim
    part.require_finite()
    return MappedRows(part)


def _lengthened(values: NDArray[Any], num_frames: int) -> NDArray[Any]:
    """(T, …) with rows of zeros (False) added at the end."""
    return np.concatenate([values, np.zeros((num_frames - len(values), *values.shape[1:]), dtype=values.dtype)])


def _in_some_sources(paths: Sequence[Mapping[str, Path]], shared: Sequence[str]) -> list[str]:
    partly = sorted({name for by_name in paths for name in by_name} - set(shared))
    return [f"{len(partly)} videos lack features of some sources and are not used: {listed(partly)}"] * bool(partly)


def _lacking(names: Sequence[str], paths: Sequence[Mapping[str, Path]], sources: Sequence[Source]) -> list[str]:
    warnings = []
    for by_name, source in zip(paths, sources, strict=True):
        without = [name for name in names if name not in by_name]
        if without:
            warnings.append(
                f"{len(without)} videos have no features in {source.name} and do without: {listed(without)}"
            )
    return warnings


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
