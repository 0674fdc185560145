"""The complete demo data set on disk, in the layout of Aff-Wild2."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from abaw import __version__
from abaw.core.artifacts import read_json, write_json, write_text
from abaw.core.config import differences, to_plain
from abaw.core.errors import AbawError, ConfigError
from abaw.core.progress import Progress, silent
from abaw.core.seed import derive_seed, numpy_generator
from abaw.demo.cast import apportion, deal
from abaw.demo.shots import VideoPlan, file_labels, film_video, frame_labels
from abaw.demo.size import DemoSize
from abaw.demo.sound import SOUND, sound_of
from abaw.demo.stills import Sitting, photograph
from abaw.demo.video import write_h264
from abaw.engine.engine import Engine
from abaw.engine.serial import SERIAL
from abaw.protocol.annotations import TRAIN_SET, VALIDATION_SET, write_annotation
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.protocol.editions import edition
from abaw.protocol.layout import frame_name

_TASK = Path("annotations", "EXPR_Recognition_Challenge")
_TEMPLATE = "CVPR_6th_ABAW_Expr_test_set_example.txt"
_TEST_LIST = "names_of_videos_in_test_set.txt"
_SETTINGS = "demo.json"
_FOLDERS = ("batch1", "batch2", "new_vids")
_SITTING = 2
_LABEL_OFFSETS = (0, 3, 0, -2, 0, 0)
"""Surplus (or missing) label lines of the videos of a split, in turn."""


@dataclass(frozen=True, slots=True)
class DemoPaths:
    """Paths of the parts. test_truth: the labels of the test videos, which a participant never sees."""

    videos: Path
    train_annotations: Path
    validation_annotations: Path
    template: Path
    test_list: Path
    test_truth: Path
    labelled_stills: Path
    unlabelled_stills: Path


def demo_paths(root: Path) -> DemoPaths:
    """Paths of the parts of a demo data set in `root`."""
    return DemoPaths(
        videos=root / "videos",
        train_annotations=root / _TASK / TRAIN_SET,
        validation_annotations=root / _TASK / VALIDATION_SET,
        template=root / _TEMPLATE,
        test_list=root / _TEST_LIST,
        test_truth=root / "test_truth",
        labelled_stills=root / "stills" / "labelled",
        unlabelled_stills=root / "stills" / "unlabelled",
    )


def make_demo_dataset(
    root: Path, size: DemoSize, seed: int, progress: Progress = silent, engine: Engine = SERIAL
) -> DemoPaths:
    """Render the data set into `root`; complete files are kept.

    The result depends only on `size` and `seed`, not on the engine. progress: counts videos and sittings (the stills of
    one person).
    Raises ConfigError when `root` contains a demo data set of another size or seed.
    """
    _claim(root, size, seed)
    paths = demo_paths(root)
    train, validation, test = plan_videos(size, seed)
    _write_labels(paths.train_annotations, train)
    _write_labels(paths.validation_annotations, validation)
    _write_test_files(paths, test)
    films = [partial(_render_video, paths.videos, plan) for plan in (*train, *validation, *test)]
    sittings = [partial(photograph, sitting) for sitting in plan_stills(paths, size, seed)]
    _render_all([*films, *sittings], progress, engine)
    return paths


def plan_videos(size: DemoSize, seed: int) -> tuple[list[VideoPlan], list[VideoPlan], list[VideoPlan]]:
    """The videos of the train, validation and test split. A split of three or more videos has one with two people."""
    first = 1
    splits = []
    counts = {"train": size.train_videos, "validation": size.validation_videos, "test": size.test_videos}
    for split, count in counts.items():
        splits.append(_plan_split(split, count, first, size, seed))
        first += count
    return splits[0], splits[1], splits[2]


def _plan_split(split: str, count: int, first: int, size: DemoSize, seed: int) -> list[VideoPlan]:
    rng = numpy_generator(seed, "demo", split)
    people = [2 if index == 1 and count >= 3 else 1 for index in range(count)]
    hands = iter(deal(sum(people), size.segments_per_video, rng))
    plans = []
    for index, number in enumerate(range(first, first + count)):
        folder = _FOLDERS[number % len(_FOLDERS)]
        width = size.frame_wh[0] * 7 // 4 // 2 * 2 if people[index] == 2 else size.frame_wh[0]
        name = f"video{number}" if folder == "new_vids" else f"{number}-{size.fps}-{width}x{size.frame_wh[1]}"
        absent, unlabelled = _gaps(index, size, rng)
        plans.append(
            VideoPlan(
                name=name,
                folder=folder,
                suffix=".avi" if index == 4 else ".mp4",
                classes=tuple(tuple(int(label) for label in next(hands)) for _ in range(people[index])),
                num_frames=size.frames_per_video + int(rng.integers(-size.fps // 2, size.fps // 2 + 1)),
                size_wh=(width, size.frame_wh[1]),
                fps=size.fps,
                seed=derive_seed(seed, "demo", split, number),
                absent=absent,
                unlabelled=unlabelled,
                label_offset=_LABEL_OFFSETS[index % len(_LABEL_OFFSETS)],
            )
        )
    return plans


def _gaps(index: int, size: DemoSize, rng: np.random.Generator) -> tuple[tuple[int, int], tuple[int, int]]:
    """Frames without a person and frames without a label, each [start, stop). Some videos have both, one or none."""
    start = int(size.frames_per_video * rng.uniform(0.3, 0.6))
    nobody = (start, start + int(size.fps * rng.uniform(0.6, 1.2)))
    early = (0, int(size.fps * rng.uniform(0.3, 0.7)))
    none = (0, 0)
    cases = {0: (nobody, nobody), 2: (none, early), 3: (nobody, none), 5: (none, nobody), 6: (nobody, nobody)}
    return cases.get(index % 9, (none, none))


def plan_stills(paths: DemoPaths, size: DemoSize, seed: int) -> list[Sitting]:
    """People who are in no video, with two photographs each; the last sitting may have one."""
    rng = numpy_generator(seed, "demo", "stills")
    sittings: list[Sitting] = []
    counts = {paths.labelled_stills: size.labelled_stills, paths.unlabelled_stills: size.unlabelled_stills}
    for folder, count in counts.items():
        labels = rng.permutation(np.repeat(np.arange(len(EXPRESSION_CLASSES)), apportion(count)))
        named = folder == paths.labelled_stills
        files = [
            folder / EXPRESSION_CLASSES[label] / f"{index:04d}.jpg" if named else folder / f"{index:04d}.jpg"
            for index, label in enumerate(labels, start=1)
        ]
        for start in range(0, count, _SITTING):
            part = slice(start, start + _SITTING)
            classes = tuple(int(label) for label in labels[part])
            sittings.append(Sitting(len(sittings), classes, tuple(files[part]), derive_seed(seed, "demo", "stills")))
    return sittings


def _claim(root: Path, size: DemoSize, seed: int) -> None:
    settings = {"abaw": __version__, "seed": seed, "size": to_plain(asdict(size)), "sound": to_plain(asdict(SOUND))}
    file = root / _SETTINGS
    if not file.exists():
        write_json(file, settings)
        return
    changed = differences(read_json(file), settings)
    if changed:
        raise ConfigError(
            f"{root}: contains a demo data set with other settings ({'; '.join(changed)}); choose another folder"
        )


def _write_labels(folder: Path, plans: Sequence[VideoPlan]) -> None:
    for plan in plans:
        for person, subject in enumerate(plan.subjects):
            write_annotation(folder / f"{subject}.txt", file_labels(plan, person))


def _write_test_files(paths: DemoPaths, plans: Sequence[VideoPlan]) -> None:
    for plan in plans:
        for person, subject in enumerate(plan.subjects):
            write_annotation(paths.test_truth / f"{subject}.txt", frame_labels(plan, person))
    write_text(paths.template, "\n".join([edition("abaw6").header, *_template_rows(plans)]) + "\n")
    write_text(paths.test_list, "".join(f"{subject}\n" for plan in plans for subject in plan.subjects))


def _template_rows(plans: Sequence[VideoPlan]) -> Iterator[str]:
    for plan in plans:
        for subject in plan.subjects:
            yield from (f"{frame_name(subject, frame)},0" for frame in range(1, plan.num_frames + 1))


def _render_video(folder: Path, plan: VideoPlan) -> None:
    path = folder / plan.folder / f"{plan.name}{plan.suffix}"
    if not path.exists():
        write_h264(path, (shot.image for shot in film_video(plan)), plan.size_wh, plan.fps, sound_of(plan))


@dataclass(frozen=True, slots=True)
class _Render:
    """What workers apply to the parts of the data set: each part renders itself."""

    def set_up(self, threads: int | None) -> Callable[[Callable[[], None], Progress], None]:
        return lambda part, progress: part()


def _render_all(parts: Sequence[Callable[[], None]], progress: Progress, engine: Engine) -> None:
    progress(0, len(parts))
    for done, result in enumerate(engine.map(_Render(), parts), start=1):
        if isinstance(result.outcome, AbawError):
            raise result.outcome
        progress(done, len(parts))
