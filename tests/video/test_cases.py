"""Real files that once were read wrongly, each with the value that FFmpeg and a player give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from abaw.core.errors import DataError
from abaw.extractors.registry import open_extractor
from abaw.inference.devices import choose_device
from abaw.inference.features import write_video_features
from abaw.inference.members import load_member
from abaw.inference.predict import predict_stores
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.protocol.layout import Subject
from abaw.stores.faces import open_faces
from abaw.stores.features import open_features
from abaw.video.detecting.detector import Detector
from abaw.video.detecting.registry import open_detector
from abaw.video.extract import ExtractedVideo, extract_video
from abaw.video.options import ExtractOptions
from abaw.weights import resolve_checkpoint
from tests.video.readers import picture, read


@pytest.fixture(scope="module")
def yunet(shared_data: Path) -> Detector:
    return open_detector(str(shared_data / "models" / "yunet_n_dynamic.onnx"))


def extract(path: Path, out: Path, detector: Detector, **options: object) -> ExtractedVideo:
    return extract_video(path, out, detector, [Subject(path.stem, path.stem, None)], ExtractOptions(**options))


@pytest.mark.parametrize(
    ("name", "num_frames", "num_pictures"),
    [
        ("sound_later.flv", 120, 120),
        ("hflip.mp4", 30, 30),
        ("vflip.mp4", 30, 30),
        ("two_streams.mkv", 30, 30),
        ("cat_x264.ts", 40, 40),
        ("f1_mp4_09.mp4", None, 36),
        ("pal_wide.mp4", 75, 75),
    ],
)
def test_rows(
    shared_cases: Path, tmp_path: Path, yunet: Detector, name: str, num_frames: int | None, num_pictures: int
) -> None:
    found = extract(shared_cases / name, tmp_path, yunet)
    faces = open_faces(found.stores[0].path)
    assert len(faces) - len(faces.faults) == num_pictures
    assert int(faces.valid.sum()) == num_pictures, "a face on every picture"
    assert num_frames in (None, len(faces))


def test_a_song_is_not_a_video(shared_cases: Path) -> None:
    with pytest.raises(DataError, match=r"song_cover\.mp4: is not a video"):
        read(shared_cases / "song_cover.mp4")


def test_mirror_images(shared_cases: Path) -> None:
    """Both were made from one clip: left and right exchanged in one, top and bottom in the other."""
    hflip, vflip = (picture(read(shared_cases / name)[0][0]) for name in ("hflip.mp4", "vflip.mp4"))
    np.testing.assert_array_equal(hflip[:, ::-1], vflip[::-1])


def test_joined_streams_report_that_the_time_goes_back(shared_cases: Path, tmp_path: Path, yunet: Detector) -> None:
    found = extract(shared_cases / "cat_x264.ts", tmp_path, yunet)
    assert any("time stamps run backwards" in line for line in found.warnings)
    assert not any("damaged" in line for line in found.warnings)


def test_the_other_stream_is_reported(shared_cases: Path, tmp_path: Path, yunet: Detector) -> None:
    found = extract(shared_cases / "two_streams.mkv", tmp_path, yunet)
    assert any("2 video streams; the one of 256×256 is read, not those of 64×64" in line for line in found.warnings)


@pytest.mark.parametrize(("square_pixels", "expected"), [(True, "Happiness"), (False, "Surprise")])
def test_wide_pixels_do_not_change_the_expression(
    shared_cases: Path, tmp_path: Path, yunet: Detector, square_pixels: bool, expected: str
) -> None:
    """The clip as it is shown is predicted as Happiness, as from square pixels; squeezed, it looks like Surprise."""
    found = extract(shared_cases / "pal_wide.mp4", tmp_path, yunet, square_pixels=square_pixels)
    assert any("pixels of 64:45 made square" in line for line in found.warnings) == square_pixels
    static = resolve_checkpoint(Path("builtin"), "static")
    device = choose_device("cpu")
    features = tmp_path / "features.arrow"
    write_video_features(open_faces(found.stores[0].path), open_extractor(str(static), device), features)
    probs = predict_stores([load_member(static, device)], [open_features(features)]).probs
    assert EXPRESSION_CLASSES[np.bincount(probs.argmax(axis=1), minlength=8).argmax()] == expected
