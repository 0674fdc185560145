"""`predict_video` and its relatives: the results are those of the command, and nothing is printed."""

from __future__ import annotations

import csv
import gc
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

import abaw
from abaw.inference.video import VideoModels, load_models
from pipelines.api.results import VideoResult
from pipelines.cli import main
from tests.checkpoints import static_checkpoint
from tests.video.clips import noise, portrait, portraits, write_clip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("api")
    write_clip(made / "clip.mp4", portraits(8, 256))
    write_clip(made / "empty.mp4", noise(4))
    cv2.imwrite(str(made / "photo.png"), cv2.cvtColor(portrait(256), cv2.COLOR_RGB2BGR))
    return made


@pytest.fixture(scope="module")
def found(folder: Path) -> VideoResult:
    return abaw.predict_video(folder / "clip.mp4", detector="builtin")


def test_the_table_is_that_of_the_command(
    folder: Path, found: VideoResult, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict-video", str(folder / "clip.mp4"), "--detector", "builtin", "--out", str(tmp_path)]) == 0
    with (tmp_path / "clip.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    capfd.readouterr()
    table = abaw.predict_video(folder / "clip.mp4", detector="builtin").table
    assert capfd.readouterr() == ("", "")
    assert table.column_names[:-2] == list(rows[0]) and table.column_names[-2:] == ["person", "video"]
    for column in ("time_s", "x1", "Happiness"):
        np.testing.assert_allclose(table[column].to_numpy(), [float(row[column]) for row in rows])
    assert table["label"].to_pylist() == [row["label"] for row in rows]
    assert table.schema == found.table.schema and table.schema.field("frame").type == pa.int32()


def test_segments_and_what_a_notebook_shows(found: VideoResult) -> None:
    (segment,) = found.segments
    assert segment.label == "Happiness" and segment.start_s == 0 and segment.end_s == pytest.approx(0.32, abs=0.01)
    shown = found._repr_html_()
    assert shown.startswith("<svg") and "Happiness 0.0 to 0.3 s" in shown and shown.count("■") == 8
    assert repr(found) == "<VideoResult: clip; 8 frames, 1 people>"


def test_files_exist_as_long_as_the_result_and_can_be_saved(folder: Path, tmp_path: Path) -> None:
    result = abaw.predict_video(folder / "clip.mp4", detector="builtin")
    place = result.folder
    assert result.save(tmp_path / "kept") == tmp_path / "kept"
    del result
    gc.collect()
    assert not place.exists()
    assert {"clip.csv", "clip.json", "clip.html"} <= {path.name for path in (tmp_path / "kept").iterdir()}


def test_frames_without_a_face_are_null(folder: Path, tmp_path: Path) -> None:
    result = abaw.predict_video([folder / "empty.mp4"], detector="builtin", out=tmp_path)
    assert result.table["label"].null_count == len(result.table) == 4
    assert result.segments == () and result.folder == tmp_path
    assert "<svg" in result._repr_html_()


def test_pandas_and_polars(found: VideoResult) -> None:
    frame = found.to_pandas()
    assert list(frame["label"]) == ["Happiness"] * 8
    pytest.importorskip("polars")
    assert found.to_polars()["frame"].to_list() == list(range(1, 9))


def test_several_inputs_and_one_that_fails(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"not a video")
    with pytest.raises(abaw.AbawError, match="bad.mp4") as fault:
        abaw.predict_video([tmp_path / "bad.mp4", folder / "clip.mp4"], detector="builtin", out=tmp_path / "out")
    assert "done" not in str(fault.value) and (tmp_path / "out" / "clip.csv").exists()


def test_where_results_go_can_be_said_in_the_file_of_settings(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text(f"detector: builtin\nout: {tmp_path / 'in_file'}\n")
    result = abaw.predict_video(folder / "empty.mp4", config=tmp_path / "settings.yaml")
    assert result.folder == tmp_path / "in_file" and len(result.table) == 4
    result.folder.rename(tmp_path / "kept")
    result = abaw.predict_video(folder / "empty.mp4", config=tmp_path / "settings.yaml", out=str(tmp_path / "keyword"))
    assert result.folder == tmp_path / "keyword" and not (tmp_path / "in_file").exists()
    (tmp_path / "settings.yaml").write_text("detector: builtin\nout: null\n")
    result = abaw.predict_video(folder / "empty.mp4", config=tmp_path / "settings.yaml")
    place = result.folder
    del result
    gc.collect()
    assert not place.exists()


def test_photos(folder: Path) -> None:
    result = abaw.predict_images(folder / "photo.png", detector="builtin")
    assert len(result.table) == 1 and result.table["label"].to_pylist() == ["Happiness"]


def test_progress_reaches_the_hook(folder: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    abaw.predict_video(folder / "clip.mp4", detector="builtin", progress=lambda *news: seen.append(news))
    assert ("clip.mp4", 8, 8) in seen and {what.partition(":")[0] for what, _, _ in seen} == {"clip.mp4"}


def test_face_crops() -> None:
    face = portrait(256)[55:190, 70:190]
    crops = np.stack([face, face[:, ::-1]])
    probs = abaw.predict_faces(crops)
    assert probs.shape == (2, 8) and probs.dtype == np.float32
    np.testing.assert_allclose(probs.sum(1), 1, atol=1e-5)
    assert abaw.CLASSES[int(probs[0].argmax())] == "Happiness"
    flipped = abaw.predict_faces(crops, flip=True)
    np.testing.assert_allclose(flipped[0], flipped[1], atol=1e-3)
    assert abaw.predict_faces(crops[:0]).shape == (0, 8)


def _probs(checkpoint: str | Path) -> NDArray[np.float32]:
    return abaw.predict_faces(
        np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8), checkpoint=checkpoint
    )


def test_faces_are_predicted_by_the_weights_that_are_there_now(tmp_path: Path) -> None:
    before = _probs(static_checkpoint(tmp_path / "run", seed=0))
    expected = _probs(static_checkpoint(tmp_path / "other", seed=1))
    assert np.abs(expected - before).max() > 1e-3
    np.testing.assert_array_equal(_probs(static_checkpoint(tmp_path / "run", seed=1)), expected)
    np.testing.assert_array_equal(_probs(static_checkpoint(tmp_path / "run", seed=0)), before)


@pytest.mark.slow
def test_faces_are_predicted_by_the_exported_file_that_is_there_now(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    for seed, name in enumerate(["one", "two"]):
        checkpoint = str(static_checkpoint(tmp_path / name, seed))
        assert main(["export", "--checkpoint", checkpoint, "--out", str(tmp_path / f"{name}.onnx")]) == 0
    before, expected = _probs(tmp_path / "one.onnx"), _probs(tmp_path / "two")
    (tmp_path / "two.onnx").replace(tmp_path / "one.onnx")
    assert np.abs(expected - before).max() > 1e-3
    np.testing.assert_allclose(_probs(tmp_path / "one.onnx"), expected, atol=1e-5)


def test_a_relative_checkpoint_is_that_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    expected = [_probs(static_checkpoint(folder / "run", seed)) for seed, folder in enumerate(folders)]
    for folder, probs in zip(folders, expected, strict=True):
        monkeypatch.chdir(folder)
        np.testing.assert_array_equal(_probs("run"), probs)


def test_a_model_is_loaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str | Path] = []

    def load(checkpoint: str | Path, **settings: Any) -> VideoModels:
        loaded.append(checkpoint)
        return load_models(checkpoint, **settings)

    monkeypatch.setattr("abaw.inference.video.load_models", load)
    static_checkpoint(tmp_path / "run")
    np.testing.assert_array_equal(_probs(tmp_path / "run"), _probs(str(tmp_path / "run")))
    monkeypatch.chdir(tmp_path)
    _probs("builtin")
    (tmp_path / "builtin").mkdir()
    _probs("builtin")
    assert loaded in ([tmp_path / "run"], [tmp_path / "run", Path("builtin")])  # another test may have loaded builtin


@pytest.mark.parametrize("shape", [(8, 8, 3), (1, 8, 8), (1, 0, 8, 3), (1, 8, 8, 4)])
def test_crops_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(abaw.AbawError, match=r"expected \(N, H, W, 3\) uint8"):
        abaw.predict_faces(np.zeros(shape, np.uint8))
    with pytest.raises(abaw.AbawError, match="float64"):
        abaw.predict_faces(np.zeros((1, 8, 8, 3)))  # type: ignore[arg-type]


def test_a_list_of_videos(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"{folder / 'clip.mp4'}\n")
    result = abaw.predict_video(tmp_path / "list.txt", detector="builtin")
    assert result.videos == ("clip",) and len(result.table) == 8
