"""Features + checkpoints -> probabilities per frame.

Shapes: T time, S source, C class, D feature.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.core.artifacts import provenance, quick_hash, value_hash
from abaw.data.clips import Clip, source_columns
from abaw.data.read_clips import OfSource, VideoFeatures, first_store, joined_features, source_of
from abaw.inference.members import FrameOutputs, Member, fitting_sources, temporal_outputs
from abaw.models.running import RunWindows
from abaw.models.tasks import NUM_OUTPUTS
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.stores.arrow import StoreError, is_done, learned_from, read_meta
from abaw.stores.features import FeatureStore
from abaw.stores.predictions import Predictions
from abaw.stores.sources import Source, joined_backbone
from abaw.stores.spec import Spec, trained_names


def predict_clips(run: RunWindows, spec: Spec, clips: Iterable[Clip]) -> Iterator[Predictions]:
    """Predictions for videos, one by one; memory holds the features of one. run: the model; clips: of its sources."""
    facts = _origin([spec], str(spec.input["backbone"]), set())
    for clip in clips:
        outputs = _mean([temporal_outputs(run, spec, clip.features[:], clip.present)])
        yield _as_predictions(clip.name, clip.face, outputs, {**facts, "fps": clip.fps})


def fingerprint(members: Sequence[Member], store_paths: Sequence[Path]) -> str:
    """Identifies the inputs and the models of one predictions store."""
    return value_hash([*map(quick_hash, store_paths), *(member.spec.weights_id for member in members)])


def is_predicted(path: Path, members: Sequence[Member], store_paths: Sequence[Path]) -> bool:
    """Whether a predictions store was made from these inputs by these models; raises StoreError for another one."""
    if not is_done(path, fingerprint(members, store_paths)):
        return False
    # Not part of the fingerprint: stores of earlier versions, which do not record it, stay.
    hops = _hops([member.spec for member in members])
    found = (read_meta(path) or {}).get("hops", hops)
    if found != hops:
        raise StoreError(
            f"{path}: was predicted with a window every {found} frames (hop of each model) instead of {hops}; choose "
            "another --out or remove it"
        )
    return True


def _hops(specs: Sequence[Spec]) -> list[int | None]:
    return [spec.input.get("hop") for spec in specs]


def predict_stores(members: Sequence[Member], video: Sequence[OfSource]) -> Predictions:
    """The probabilities of every frame of one video: the mean over the members that predict the frame.

    video: its feature stores, one per source, or the description of a source that it lacks; a member uses the sources
    that it was trained on. Frames with a face are known from the sources of a face, whether a member uses them or not.
    Raises CheckpointError when a member expects features of another backbone, and StoreError when rows are missing or
    the sources differ in length.
    """
    sources, first = [source_of(part) for part in video], first_store(video)
    paths = [part.store.path for part in video if isinstance(part, FeatureStore)]
    used = [fitting_sources(member, sources, paths) for member in members]
    known = joined_features(video)
    facts = {
        **_origin([member.spec for member in members], joined_backbone(sources), _learned_by(video, used)),
        "fps": first.meta.get("fps"),
        "fingerprint": fingerprint(members, paths),
    }
    outputs = [_outputs(member, known, sources, each) for member, each in zip(members, used, strict=True)]
    return _as_predictions(first.name, known.face, _mean(outputs), facts)


def _outputs(member: Member, video: VideoFeatures, sources: Sequence[Source], used: Sequence[int]) -> FrameOutputs:
    """A member's predictions from the sources that it uses, by index among all sources of the video."""
    if not len(video.face):
        return _nothing(member.tasks)
    return member.outputs(video.features[:, source_columns(sources, used)], video.present[:, list(used)])


def _nothing(tasks: Sequence[str]) -> FrameOutputs:
    """The outputs for a video without frames."""
    empty = {task: np.zeros((0, NUM_OUTPUTS[task]), np.float32) for task in tasks}
    return FrameOutputs(
        empty.get("expression"), np.zeros(0, dtype=np.bool_), empty.get("valence_arousal"), empty.get("action_units")
    )


def _learned_by(video: Sequence[OfSource], used: Sequence[Sequence[int]]) -> set[str]:
    """The videos from which the networks of the used features have learned. used: indices of sources, by member."""
    parts = [video[index] for index in {index for each in used for index in each}]
    return set(learned_from(part for part in parts if isinstance(part, FeatureStore)))


def _origin(specs: Sequence[Spec], backbone: str, learned: set[str]) -> Mapping[str, Any]:
    """Provenance of predictions: the models, the videos from which they and their backbones have learned, the videos on
    which a model's step was chosen, and the class shares that the models expect on average."""
    shares = [spec.class_shares for spec in specs if spec.classes]
    known = [each for each in shares if each is not None]
    trained = learned.union(*(trained_names(spec.training) for spec in specs))
    chosen = {name for spec in specs if spec.training.get("chosen") for name in spec.training.get("scored_on", ())}
    return provenance(
        backbone=backbone,
        checkpoints=[spec.weights_id for spec in specs],
        trained_on=sorted(trained),
        selected_on=sorted(chosen),
        hops=_hops(specs),
        class_shares=np.mean(known, axis=0).tolist() if known and len(known) == len(shares) else None,
    )


def _mean(outputs: Sequence[FrameOutputs]) -> FrameOutputs:
    """The mean per frame over the members that predict it, and per task over the members that have it.

    A frame is predicted where each task is.
    """
    votes = [each.predicted for each in outputs]
    voted = [
        _voted([(values, vote) for values, vote in zip(of_task, votes, strict=True) if values is not None])
        for of_task in (
            [each.probs for each in outputs],
            [each.valence_arousal for each in outputs],
            [each.action_units for each in outputs],
        )
    ]
    probs, valence_arousal, action_units = (each[0] if each else None for each in voted)
    predicted = np.logical_and.reduce([each[1] for each in voted if each])
    return FrameOutputs(probs, predicted, valence_arousal, action_units)


def _voted(
    parts: Sequence[tuple[NDArray[np.float32], NDArray[np.bool_]]],
) -> tuple[NDArray[np.float32], NDArray[np.bool_]] | None:
    """The mean of values (T, N) whose vote, (T,), is True, 0 where none is; and where any is, (T,).

    None without parts.
    """
    if not parts:
        return None
    total = np.sum([np.where(vote[:, None], values, np.float32(0)) for values, vote in parts], axis=0)
    votes = np.sum([vote for _, vote in parts], axis=0)
    return total / np.maximum(votes, 1).astype(np.float32)[:, None], votes > 0


def _as_predictions(
    name: str, valid: NDArray[np.bool_], outputs: FrameOutputs, facts: Mapping[str, Any]
) -> Predictions:
    return Predictions(
        name,
        EXPRESSION_CLASSES if outputs.probs is not None else (),
        np.arange(1, len(valid) + 1, dtype=np.int32),
        valid,
        outputs.predicted,
        outputs.probs if outputs.probs is not None else np.zeros((len(valid), 0), np.float32),
        facts,
        outputs.valence_arousal,
        outputs.action_units,
    )
