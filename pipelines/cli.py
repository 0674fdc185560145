"""The `abaw` command: one sub-command per stage.

A stage is a module here with a config dataclass, whose fields are the flags, and `run(config)` that returns the exit
status.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from abaw import __version__
from abaw.core.errors import AbawError, UnexpectedError, nearest
from abaw.core.reading import denied
from abaw.core.text import in_line
from pipelines.bug_report import report_unexpected
from pipelines.console import show
from pipelines.inputs import require_inputs
from pipelines.method_files import with_method_files
from pipelines.settings import parse


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a sub-command lives. positional: the config field that takes the arguments without a flag."""

    module: str
    config: str
    help: str
    positional: str | None = None


STAGES = {
    "doctor": Stage("doctor", "DoctorConfig", "check the installation, name what is broken and the remedy"),
    "demo": Stage("demo.command", "DemoConfig", "run the whole chain on a data set made on the spot"),
    "check-data": Stage("check_data.command", "CheckDataConfig", "check that the parts of Aff-Wild2 fit together"),
    "extract": Stage("extract.command", "ExtractConfig", "videos -> faces: detect, track and align", "videos"),
    "import-crops": Stage("import_crops", "ImportCropsConfig", "official crop folders -> faces", "folders"),
    "export-crops": Stage("export_crops", "ExportCropsConfig", "faces -> official crop folders", "faces"),
    "import-images": Stage("import_images", "ImportImagesConfig", "labelled or unlabelled stills -> faces"),
    "import-features": Stage("import_features", "ImportFeaturesConfig", "features of other tools -> features", "files"),
    "export-features": Stage("export_features", "ExportFeaturesConfig", "features -> npz or parquet", "features"),
    "pretrain": Stage("pretrain", "PretrainConfig", "faces without labels -> a backbone to start from"),
    "probe": Stage("probe", "ProbeConfig", "what a model's features know of expressions and of people"),
    "train-static": Stage("train_static", "TrainStaticConfig", "faces -> static expression model"),
    "label-faces": Stage("label_faces", "LabelFacesConfig", "faces + static checkpoints -> faces with soft labels"),
    "train-detector": Stage("train_detector", "TrainDetectorConfig", "photos of faces -> face detector"),
    "train-landmarks": Stage("train_landmarks", "TrainLandmarksConfig", "photos of faces -> landmarks refined"),
    "features": Stage("features", "FeaturesConfig", "faces + static checkpoint or third-party network -> features"),
    "audio-features": Stage(
        "audio_features", "AudioFeaturesConfig", "videos + faces -> features of the sound, per frame", "videos"
    ),
    "train-temporal": Stage("train_temporal", "TrainTemporalConfig", "features + annotations -> temporal model"),
    "cross-validate": Stage("cross_validate", "CrossValidateConfig", "k-fold by video: out-of-fold predictions"),
    "predict": Stage("predict", "PredictConfig", "features + checkpoint -> per-frame probabilities"),
    "export": Stage("export", "ExportConfig", "checkpoint -> an ONNX file that predicts without torch"),
    "fuse": Stage("fuse", "FuseConfig", "predictions of several models -> their mean", "predictions"),
    "predict-video": Stage(
        "predict_video.command", "PredictVideoConfig", "videos -> predictions, shown on pages", "videos"
    ),
    "live": Stage("live", "LiveConfig", "a camera, stream or browser -> expressions at once"),
    "validate": Stage("validate.command", "ValidateConfig", "predictions + annotations -> report"),
    "submit": Stage("submit", "SubmitConfig", "predictions + template -> submission file"),
    "check-submission": Stage("check_submission", "CheckSubmissionConfig", "list every fault of a file", "file"),
    "ablate": Stage("ablate.command", "AblateConfig", "compare window lengths or any other setting"),
    "bench": Stage("bench.command", "BenchConfig", "compare semi-supervised methods: ssl", "what"),
}


def parse_config(name: str, arguments: Sequence[str], exits: bool = True) -> Any:
    """The config of a sub-command from its words.

    exits: wrong words end the process with status 2 and one line; otherwise they raise ConfigError.
    """
    config_class, words = with_method_files(config_class_of(name), arguments)
    return parse(config_class, words, f"abaw {name}", STAGES[name].positional, exits)


def config_class_of(name: str) -> Any:
    """The config dataclass of a sub-command."""
    return _module(STAGES[name]).__dict__[STAGES[name].config]


def run_config(name: str, config: Any) -> int:
    """Run a sub-command; returns the exit status."""
    # Before the command loads torch and the like: a mistyped path is reported at once.
    require_inputs(config)
    try:
        status: int = _module(STAGES[name]).run(config)
    except RuntimeError as error:
        # Loaded on use: few commands need torch.
        from abaw.core.data_parallel import other_has_ended

        if not other_has_ended(error):
            raise
        raise AbawError(
            "another process of this training has ended: its own message says why, unless it was killed; run the same "
            "command again to go on"
        ) from error
    return status


def _module(stage: Stage) -> ModuleType:
    return importlib.import_module(f"pipelines.{stage.module}")


def _usage() -> str:
    width = max(map(len, STAGES))
    lines = [f"  {name:<{width}}  {stage.help}" for name, stage in STAGES.items()]
    return "\n".join(
        [f"abaw {__version__}: from videos of faces to a checked ABAW submission", "", "usage: abaw COMMAND …", ""]
        + lines
        + ["", "`abaw help COMMAND` lists the settings of a command, with examples."]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sub-command. Exit status: 0 done, 1 a fault in the data or the run, 2 wrong usage.

    An error that no part of the program expects, a bug, ends in one line, too, which names a file with the traceback;
    with ABAW_TRACEBACK=1 in the environment it is raised.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    # Threads of torch that wait for work would otherwise spin, and on a busy machine take it from those that work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        try:
            return dispatch(words)
        finally:
            sys.stdout.flush()
    except UnexpectedError as error:
        return _unexpected(words, error)
    except AbawError as error:
        return _failed(words, error)
    except BrokenPipeError:
        # The reader of our output is gone (`abaw … | head`); nothing more may be written, at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except PermissionError as error:
        fault = denied(error)
        return _failed(words, fault) if fault else _unexpected(words, error)
    except Exception as error:  # a bug: everything that can be expected is an AbawError
        return _unexpected(words, error)
    except KeyboardInterrupt:
        # The process ends now. Without this it would first search all objects of torch for garbage, for over a second.
        gc.freeze()
        print(f"abaw {words[0]}: interrupted; run the same command again to go on", file=sys.stderr)
        return 130


def _failed(words: Sequence[str], error: AbawError) -> int:
    show(f"abaw {words[0]}: error: {in_line(str(error))}", sys.stderr)
    return error.exit_status


def _unexpected(words: Sequence[str], error: Exception) -> int:
    if os.environ.get("ABAW_TRACEBACK") == "1":
        raise error
    report_unexpected(words, error)
    return 1


def dispatch(words: list[str]) -> int:
    """Run a sub-command; faults come as AbawError."""
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    if not words or words[0] in ("-h", "--help"):
        print(_usage())
        return 0 if words else 2
    if words[0] == "--version":
        print(f"abaw {__version__}")
        return 0
    if words[0] not in STAGES:
        name = in_line(words[0])
        show(f"abaw: error: no command '{name}'.{nearest(words[0], STAGES)} See `abaw --help`.", sys.stderr)
        return 2
    return run_config(words[0], parse_config(words[0], words[1:]))


if __name__ == "__main__":
    sys.exit(main())
