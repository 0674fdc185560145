"""Video affect competition pipeline: from videos of faces to per-frame expressions in the ABAW formats."""

# Made by `python -m pipelines.api.stub` from the commands' settings.

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from abaw.core.errors import AbawError as AbawError
from abaw.protocol.annotations import read_annotations as read_annotations
from abaw.stores.faces import open_faces as read_faces
from abaw.stores.features import open_features as read_features
from abaw.stores.predictions import read_predictions as read_predictions
from pipelines.api.call import ProgressChoice
from pipelines.api.faces import predict_faces as predict_faces
from pipelines.api.faces import predict_images as predict_images
from pipelines.api.results import Report, Run, VideoResult

PathLike = str | Path
CLASSES: tuple[str, ...]
__version__: str
__all__: list[str]

def ablate(
    *,
    features: Sequence[PathLike],
    annotations: PathLike,
    out: PathLike,
    engine: str = 'local',
    workers: int | None = None,
    cpus_per_item: float = 1.0,
    gpus_per_item: float = 0.0,
    holdout: float = 0.15,
    sources: str | None = None,
    tasks: Sequence[str] = ('expression',),
    model: Mapping[str, Any] | None = None,
    learn: Mapping[str, Any] | None = None,
    train: Mapping[str, Any] | None = None,
    window: int = 300,
    hop: int | None = None,
    hop_fraction: float = 0.6666666666666666,
    vary: Mapping[str, Any] | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    smoothing: Sequence[str] = ('none',),
    fit_bias: bool = False,
    config: PathLike | None = None,
    progress: ProgressChoice = None,
) -> pa.Table: ...

def audio_features(
    videos: PathLike | Sequence[PathLike],
    *,
    faces: Sequence[PathLike],
    out: PathLike,
    engine: str = 'local',
    workers: int | None = None,
    cpus_per_item: float = 1.0,
    gpus_per_item: float = 0.0,
    shard: str | None = None,
    model: str = 'logmel',
    layer: int | None = None,
    track: int | None = None,
    accelerator: Literal['auto', 'cpu', 'cuda'] = 'auto',
    config: PathLike | None = None,
    progress: ProgressChoice = None,
) -> list[Path]: ...

def check_submission(
    file: PathLike,
    *,
    template: PathLike,
    edition: str = 'abaw6',
    predictions: PathLike | None = None,
    all: bool = False,
    config: PathLike | None = None,
    progress: ProgressChoice = None,
) -> list[str]: ...

def cross_validate(
    *,
    features: Sequence[PathLike],
    annotations: PathLike,
    out: PathLike,
    engine: str = 'local',
    workers: int | None = None,
    cpus_per_item: float = 1.0,
    gpus_per_item: float = 0.0,
    holdout: float = 0.15,
    sources: str | None = None,
    tasks: Sequence[str] = ('expression',),
    model: Mapping[str, Any] | None = None,
    learn: Mapping[str, Any] | None = None,
    train: Mapping[str, Any] | None = None,
    folds: int = 5,
    window: int = 300,
    hop: int = 200,
    config: PathLike | None = None,
    progress: ProgressChoice = None,
) -> Path: ...

def extract(
    videos: PathLike | Sequence[PathLike],
    *,
    out: PathLike,
    engine: str = 'local',
    workers: int | None = None,
    cpus_per_item: float = 1.0,
    gpus_per_item: float = 0.0,
    shard: str | None = None,
    reader: Literal['pyav', 'decord', 'torchcodec'] = 'pyav',
    square_pixels: bool = True,
    min_score: float | None = None,
    start_score: float = 0.6,
    weak_frames: int = 5,
    max_gap: int = 15,
    min_iou: float = 0.3,
    min_track_frames: int = 10,
    jpeg_quality: int = 95,
    full_every: int = 17,
    region: float = 1.7,
    region_px: int = 152,
    max_score_drop: float = 0.2,
    smooth_landmarks: int = 2,
    detector: str = 'auto',
    subjects: Sequence[str] = ('main',),
    crop: Sequence[str] = ('aligned:112',),
    review: bool = False,
    corrections: PathLike | None = None,
    config: PathLike | None = None,
    progress: ProgressChoice = None,
) -> list[Path]: ...

def features(
    *,
    faces: Sequence[PathLike],
    checkpoint: str,
    out: PathLike,
    engine: str = 'local',
    workers: int | None = None,
    cpus_per_item: float = 1.0,
    gpus_per_item: float = 0.0,
    shard: str | None = None,
    extractor: Mapping[str, Any] | None = None,
    outputs: Literal['features', 'logits'] = 'features',
    flip: bool = False,
    batch_size: int = 128,
    accelerator: Literal['auto', 'cpu', 'cuda'] = 'auto',
    config: PathLike | None = None,
    progress: ProgressChoice = None,
) -> list[Path]: ...

def fuse(
    predictions: PathLike | Sequence[PathLike],
    *,
    out: PathLike,
    engine: str = 'local',
    workers: int | None = None,
    cpus_per_item: float = 1.0,
    gpus_per_item: float = 0.0,
    shard: str | None = None,
    weights: Literal['equal', 'oof'] = 'equal',
    annotations: PathLike | None = None,
    out_of_fold: Sequence[PathLike] = (),
    split: Literal['validation', 'train', 'both'] = 'both',
    config: PathLike | None = None,
    progress: ProgressChoice = None,
) -> list[Path]: ...

def import_features(
    files: PathLike | Sequence[PathLike],
    *,
    faces: Sequence[PathLike],
    out: PathLike,
    engine: str = 'local',
    workers: int | None = None,
    cpus_per_item: float = 1.0,
    gpus_per_item: float = 0.0,
    shard: str | None = None,
    name: str = '',
    modality: str = '',
    trained_on: Sequence[str] = (),
    first_frame: Literal[0, 1] | None = None,
    match_by: Literal['auto', 'frame', 'time'] = 'auto',
    resample: Literal['nearest', 'linear', 'mean'] = 'nearest',
    columns: Sequence[str] = (),
    frame_column: str = '',
    time_column: str = '',
    video_column: str = '',
    min_confidence: float = 0.0,
    missing: Literal['none', 'nan', 'zero'] = 'none',
    faces_only: bool = False,
    width: int | None = None,
    tolerance: int = 16,
    config: PathLike | None = None,
    progress: ProgressChoice = None,
) -> list[Path]: ...

def predict(
    *,
    features: Sequence[PathLike],
    checkpoint: Sequence[PathLike],
    out: PathLike,
    engine: str = 'local',
    workers: int | None = None,
    cpus_per_item: float = 1.0,
    gpus_per_item: float = 0.0,
    shard: str | None = None,
    accelerator: Literal['auto', 'cpu', 'cuda'] = 'auto',
    config: PathLike | None = None,
    progress: ProgressChoice = None,
) -> list[Path]: ...

def predict_video(
    videos: PathLike | Sequence[PathLike],
    *,
    engine: str = 'local',
    workers: int | None = None,
    cpus_per_item: float = 1.0,
    gpus_per_item: float = 0.0,
    shard: str | None = None,
    detector: str = 'auto',
    reader: Literal['pyav', 'decord', 'torchcodec'] = 'pyav',
    subjects: Literal['main', 'all'] = 'main',
    checkpoint: str = 'builtin',
    temporal: PathLike | None = None,
    smoothing: str = 'none',
    annotations: PathLike | None = None,
    render: bool = False,
    video: Literal['auto', 'embed', 'link'] = 'auto',
    batch_size: int = 128,
    accelerator: Literal['auto', 'cpu', 'cuda'] = 'auto',
    config: PathLike | None = None,
    out: PathLike | None = None,
    progress: ProgressChoice = None,
) -> VideoResult: ...

def submit(
    *,
    predictions: PathLike,
    template: PathLike,
    out: PathLike,
    edition: str = 'abaw6',
    smoothing: str = 'none',
    transitions: PathLike | None = None,
    transitions_fps: float | None = None,
    class_bias: Sequence[float] = (),
    thresholds: Sequence[str] = (),
    config: PathLike | None = None,
    progress: ProgressChoice = None,
) -> Path: ...

def train_static(
    *,
    out: PathLike,
    method: str = 'supervised',
    backbone: str = 'small',
    pretrained: bool = False,
    backbone_weights: PathLike | None = None,
    size: int = 48,
    grey: bool = False,
    balance: Literal['own', 'uniform', 'sqrt', 'natural'] = 'own',
    aggregation: Literal['own', 'none', 'experts'] = 'own',
    experts: Mapping[str, Any] | None = None,
    load_balance: float = 0.01,
    batch_size: int = 64,
    unlabelled_ratio: int = 2,
    cache_mb: int = 2048,
    decode: Literal['cpu', 'device'] = 'cpu',
    train: Mapping[str, Any] | None = None,
    labelled: Sequence[PathLike] = (),
    unlabelled: Sequence[PathLike] = (),
    pseudo_labelled: Sequence[PathLike] = (),
    rest_unlabelled: bool = False,
    videos: PathLike | None = None,
    annotations: PathLike | None = None,
    every: int = 10,
    holdout: float = 0.1,
    init: PathLike | None = None,
    warm_start_steps: int = 0,
    ada_cm: Mapping[str, Any] | None = None,
    debiaspl: Mapping[str, Any] | None = None,
    dta_snl: Mapping[str, Any] | None = None,
    fixmatch: Mapping[str, Any] | None = None,
    freematch: Mapping[str, Any] | None = None,
    leaf: Mapping[str, Any] | None = None,
    spatial: Mapping[str, Any] | None = None,
    supervised: Mapping[str, Any] | None = None,
    config: PathLike | None = None,
    progress: ProgressChoice = None,
) -> Run: ...

def train_temporal(
    *,
    features: Sequence[PathLike],
    annotations: PathLike,
    out: PathLike,
    holdout: float = 0.15,
    sources: str | None = None,
    tasks: Sequence[str] = ('expression',),
    model: Mapping[str, Any] | None = None,
    learn: Mapping[str, Any] | None = None,
    train: Mapping[str, Any] | None = None,
    window: int = 300,
    hop: int = 200,
    config: PathLike | None = None,
    progress: ProgressChoice = None,
) -> Run: ...

def validate(
    *,
    predictions: Sequence[PathLike],
    annotations: PathLike,
    out: PathLike,
    smoothing: Sequence[str] = ('none',),
    fit_bias: bool = False,
    fit_thresholds: bool = False,
    transitions: PathLike | None = None,
    transitions_fps: float | None = None,
    split: Literal['validation', 'train', 'both'] = 'validation',
    draws: int = 1000,
    viewers: PathLike | None = None,
    config: PathLike | None = None,
    progress: ProgressChoice = None,
) -> Report: ...
