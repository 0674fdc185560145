"""`abaw predict-video`: videos -> tables and pages.

Each video goes through the stages of the pipeline (extract, features, predict), whose stores stay in `OUT/stores`; its
tables and its page are made from them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from abaw.core.artifacts import remove_orphans
from abaw.core.errors import ConfigError
from abaw.core.progress import Progress
from abaw.engine.serial import SERIAL
from abaw.extractors.registry import require_head
from abaw.protocol.layout import find_media
from abaw.protocol.listed_videos import listed_and_found
from pipelines.console import result, say
from pipelines.engine_settings import BatchSettings, engine_for, require_engine
from pipelines.inputs import CheckpointPath, DetectorName, ExtractorName, InputPath, InputText
from pipelines.items import Remarks, run_items
from pipelines.smoothing import read_smoothings

if TYPE_CHECKING:
    from pipelines.predict_video.results import Presentation


@dataclass(frozen=True)
class PredictVideoConfig(BatchSettings):
    """Predict the expression in every frame of videos, or of still images, and make pages that show the result.

    Args:
        videos: video files, still images, folders of them, or .txt files with one path per line
        out: folder for the results; a video that already has results is skipped
        detector: auto, builtin, insightface:PACK, or the path of a SCRFD or YuNet .onnx file; see `abaw extract`
        reader: library that decodes the videos
        subjects: main (one person per video) or all (everybody)
        checkpoint: folder of a static checkpoint, a file of `abaw export`, or builtin, the one of the package; with
            temporal also a network of another project, see `abaw features`
        temporal: folder of a temporal checkpoint trained on features of that checkpoint, or its exported file; builtin
            is the one of the package; without it, frames are predicted one by one
        smoothing: filter of the probabilities: none, box:WIDTH, median:WIDTH, gaussian:SIGMA (in seconds, as in
            gaussian:0.4s, or in frames, as in gaussian:12), or the smoothing.json of `abaw validate`
        annotations: folder with annotation files <video>.txt (in it or below), shown next to the predictions
        render: also write an annotated video
        video: how the page includes the video: embed it, link to it, or auto (embed up to 32 MB)
        batch_size: faces per forward pass
        accelerator: where to compute; auto uses a GPU if there is one

    Examples:
        abaw predict-video clip.mp4
        abaw predict-video videos/ --out pages/ --subjects all --render
        abaw predict-video clip.mp4 --checkpoint builtin --temporal builtin --out pages/
    """

    videos: tuple[InputText, ...]
    out: Path = Path("expressions")
    detector: DetectorName = "auto"
    reader: Literal["pyav", "decord", "torchcodec"] = "pyav"
    subjects: Literal["main", "all"] = "main"
    checkpoint: ExtractorName = "builtin"
    temporal: CheckpointPath | None = None
    smoothing: str = "none"
    annotations: InputPath | None = None
    render: bool = False
    video: Literal["auto", "embed", "link"] = "auto"
    batch_size: int = 128
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"


def run(config: PredictVideoConfig) -> int:
    """Exit status: 1 when a video failed, else 0."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from pipelines.extract.command import detecting_on, resolved_detector
    from pipelines.predict_video.results import INDEX, write_index

    require_engine(config, config.accelerator)
    if config.temporal is None:
        require_head(config.checkpoint)
    if not config.videos:
        raise ConfigError("no video given; use `abaw predict-video VIDEO…`")
    paths = chosen_videos(config)
    remove_orphans(config.out)
    detector = resolved_detector(config.detector)
    accelerator = detecting_on(detector) if config.accelerator == "cpu" else config.accelerator
    engine = engine_for(config, len(paths), accelerator)
    function = _function(config, detector, shared=engine is not SERIAL)
    status = run_items(paths, _name, function, config.out, engine, "frames")
    page = write_index(config.out)
    if page is not None:
        result(f"{'index' if page.name == INDEX else 'page'}: {page}")
    return status


def chosen_videos(config: PredictVideoConfig) -> Sequence[Path]:
    """The videos and photos that the settings name, those of lists included, of this shard.

    What lies in `out` below a folder of videos, and earlier results among the videos, are not taken for videos.
    """
    # Loaded on use: `--help` and wrong usage are answered without it.
    from pipelines.predict_video.results import results_in

    find = partial(find_media, without=[config.out, *results_in(config.out)])
    return config.of_shard([video.path for video in listed_and_found(map(Path, config.videos), find)], _name)


def _name(path: Path) -> str:
    return path.name


@dataclass(frozen=True, slots=True)
class PredictVideos:
    """What workers apply to videos, each with its own detector and models. detector: resolved name."""

    config: PredictVideoConfig
    detector: str
    presentation: Presentation

    def set_up(self, threads: int | None) -> Callable[[Path, Progress], Remarks]:
        # Loaded on use: `--help` and wrong usage are answered without it.
        from abaw.inference.video import VideoPipeline, load_models
        from abaw.video.detecting.registry import open_detector
        from pipelines.predict_video.results import VideoResults

        config = self.config
        models = load_models(config.checkpoint, config.temporal, config.accelerator, config.batch_size, threads)
        for note in models.extractor.notes:
            say(note)
        detector = open_detector(self.detector, threads=threads)
        pipeline = VideoPipeline(config.out / "stores", detector, models, config.reader, config.subjects == "all")
        return VideoResults(config.out, pipeline, self.presentation).make


def _function(config: PredictVideoConfig, detector: str, shared: bool) -> PredictVideos:
    """detector: resolved name; shared: with other processes."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.video.detecting.registry import open_detector

    if shared:
        open_detector(detector)  # once before the workers do: a pack is downloaded by one process alone
    return PredictVideos(config, detector, _presentation(config))


def _presentation(config: PredictVideoConfig) -> Presentation:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.sequence.smooth import needs_transitions
    from pipelines.predict_video.results import Presentation, find_annotations

    if needs_transitions(config.smoothing):
        raise ConfigError(
            f"--smoothing {config.smoothing}: needs annotated videos; use a filter, such as gaussian:0.4s, or the "
            "smoothing.json that `abaw validate` wrote for annotated videos"
        )
    (smoothing,), _ = read_smoothings([config.smoothing], None, None, [])
    annotations = {} if config.annotations is None else find_annotations(config.annotations)
    return Presentation(smoothing, annotations, config.render, config.video)
