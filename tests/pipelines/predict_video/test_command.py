"""`abaw predict-video` as it is used: videos, folders, images; again, killed, in the way of other files; real clips."""

from __future__ import annotations

import csv
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from abaw.extractors.registry import open_extractor
from abaw.protocol.annotations import write_annotation
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.protocol.labels import write_valence_arousal
from abaw.stores.crop import Crop
from abaw.stores.faces import open_faces
from abaw.video.reading.registry import open_video
from pipelines.cli import main
from tests.checkpoints import static_checkpoint, temporal_checkpoint
from tests.extractors.networks import CLASSES, MEAN, STD, ConvNet
from tests.video.clips import corrupt, noise, portrait, portraits, write_clip
from tests.video.numbered import write_numbered

NUM_FRAMES = 30


def predict_video(*arguments: object) -> int:
    return main(["predict-video", *map(str, arguments), "--detector", "builtin", "--accelerator", "cpu"])


def results(folder: Path) -> dict[str, bytes]:
    """Every file but the stores, hidden ones too."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def summary(out: Path, name: str) -> Any:
    return json.loads((out / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos, one without a face, and a photo."""
    folder = tmp_path_factory.mktemp("videos")
    write_clip(folder / "Gesicht 面.mp4", portraits(NUM_FRAMES))
    write_clip(folder / "nobody.mp4", noise(5))
    Image.fromarray(portrait(256)).save(folder / "photo.jpg")
    return folder


@pytest.fixture(scope="module")
def made(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    assert predict_video(videos, "--out", out, "--render") == 0
    return out


def test_all_results_of_a_video(made: Path) -> None:
    with (made / "Gesicht 面.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["frame"] for row in rows] == [str(frame + 1) for frame in range(NUM_FRAMES)]
    shown = [row for row in rows if row["label"]]
    assert len(shown) > 0.9 * NUM_FRAMES
    for row in shown:
        probs = [float(row[name]) for name in EXPRESSION_CLASSES]
        assert sum(probs) == pytest.approx(1, abs=1e-3)
        assert row["label"] == EXPRESSION_CLASSES[int(np.argmax(probs))]
        assert 0 <= float(row["x1"]) < float(row["x2"]) <= 160
    found = summary(made, "Gesicht 面")
    assert (found["frames"], found["frame_size_wh"]) == (NUM_FRAMES, [160, 160])
    assert found["people"][0]["frames_with_face"] == len(shown)
    assert found["models"]["predicts"] == found["models"]["static"] != ""
    assert all((made / name).stat().st_size for name in found["files"])
    with open_video(made / "Gesicht 面.mp4") as video:
        assert sum(1 for _ in video) == NUM_FRAMES
    page = (made / "Gesicht 面.html").read_text(encoding="utf-8")
    assert 'id="media" data-mime="video/mp4"' in page and "<title>Gesicht 面: expressions</title>" in page


def test_a_video_without_a_face_and_a_photo(made: Path) -> None:
    assert summary(made, "nobody")["people"][0]["frames_with_face"] == 0
    assert len((made / "nobody.csv").read_text().splitlines()) == 6
    photo = summary(made, "photo")
    assert (photo["frames"], photo["people"][0]["frames_with_face"]) == (1, 1)
    with Image.open(made / "photo.png") as rendered:
        assert rendered.height == 256
    assert 'src="data:image/jpeg;base64,' in (made / "photo.html").read_text()


def test_the_index_lists_them_all(made: Path) -> None:
    page = (made / "index.html").read_text()
    assert all(f">{name}</a>" in page for name in ("Gesicht 面", "nobody", "photo"))


def test_again_nothing_is_done(made: Path, videos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*") if path.is_file() and path.name != "index.html"}
    assert predict_video(videos, "--out", made, "--render") == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert capsys.readouterr().err.count("exists already") == 3


def test_what_changed_settings_affect_is_recomputed(made: Path, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(made, out)
    before = (out / "Gesicht 面.csv").read_bytes()
    assert predict_video(videos / "Gesicht 面.mp4", "--out", out, "--smoothing", "box:0.2s") == 0
    assert (out / "Gesicht 面.csv").read_bytes() != before
    assert summary(out, "Gesicht 面")["settings"]["smoothing"] == "box:0.2s"


def test_annotations_are_shown_next_to_the_predictions(videos: Path, tmp_path: Path) -> None:
    labels = np.full(NUM_FRAMES, 4)
    labels[:6] = -1
    (tmp_path / "labels").mkdir()
    write_annotation(tmp_path / "labels" / "Gesicht 面.txt", labels)
    video = videos / "Gesicht 面.mp4"
    assert predict_video(video, "--out", tmp_path / "out", "--annotations", tmp_path / "labels") == 0
    found = summary(tmp_path / "out", "Gesicht 面")["people"][0]["annotated"]
    assert 0 < found["frames"] <= NUM_FRAMES - 6 and 0 <= found["agreement"] <= 1
    assert "Comparison with the annotation" in (tmp_path / "out" / "Gesicht 面.html").read_text()


@pytest.mark.parametrize("above", [".", "annotations"])
def test_the_expression_files_of_an_annotation_root_are_shown(videos: Path, tmp_path: Path, above: str) -> None:
    """Files of the other tasks have the same names."""
    video, official = videos / "Gesicht 面.mp4", tmp_path / above
    for task, split in (("EXPR_Recognition_Challenge", "Train_Set"), ("VA_Estimation_Challenge", "Validation_Set")):
        (official / task / split).mkdir(parents=True)
    name = f"{video.stem}.txt"
    write_annotation(official / "EXPR_Recognition_Challenge/Train_Set" / name, np.full(NUM_FRAMES, 4))
    values = np.zeros((NUM_FRAMES, 2), np.float32)
    write_valence_arousal(official / "VA_Estimation_Challenge/Validation_Set" / name, values)
    assert predict_video(video, "--out", tmp_path / "out", "--annotations", tmp_path) == 0
    (person,) = summary(tmp_path / "out", video.stem)["people"]
    happy = person["share_of_time"]["Happiness"]
    assert person["annotated"]["frames"] == person["frames_with_face"]
    assert person["annotated"]["agreement"] == pytest.approx(happy, abs=0.01)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (["VA_Estimation_Challenge/Train_Set/v.txt"], "no annotation file (*.txt) of expressions"),
        (["a/v.txt", "b/v.txt"], "two annotations are named 'v'"),
        (
            ["EXPR_Recognition_Challenge/Train_Set/v.txt", "EXPR_Recognition_Challenge/Validation_Set/v.txt"],
            "two annotations are named 'v'",
        ),
    ],
)
def test_annotations_that_are_missing_or_ambiguous(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], files: list[str], says: str
) -> None:
    for name in files:
        (tmp_path / "labels" / name).parent.mkdir(parents=True, exist_ok=True)
        write_annotation(tmp_path / "labels" / name, np.zeros(5, int))
    arguments = ["--out", tmp_path / "out", "--annotations", tmp_path / "labels"]
    assert predict_video(videos / "nobody.mp4", *arguments) != 0
    said = capsys.readouterr().err
    assert says in said and all(str(tmp_path / "labels" / name) in said for name in files if "two" in says)
    assert not (tmp_path / "out").exists()


def test_one_bad_video_does_not_stop_the_others(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video at all")
    assert predict_video(tmp_path / "broken.mp4", videos / "nobody.mp4", "--out", tmp_path / "out") == 1
    assert "broken.mp4" in capsys.readouterr().err
    assert summary(tmp_path / "out", "nobody")["frames"] == 5


@pytest.mark.parametrize("name", ["nobody.csv", "nobody.html", "nobody.json"])
def test_files_of_others_are_left_alone(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / name).write_text('{"mine": 1}')
    assert predict_video(videos / "nobody.mp4", "--out", tmp_path) == 1
    assert f"{name}: has the name of a result and is none" in capsys.readouterr().err
    assert results(tmp_path) == {name: b'{"mine": 1}'}


@pytest.mark.parametrize("name", ["nobody.mp4", "photo.jpg"])
def test_no_rendering_replaces_its_source(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """The annotated video of `nobody.mp4` and picture of `photo.png` would have their names."""
    source = tmp_path / name
    shutil.copy(videos / name, source)
    if name == "photo.jpg":
        Image.open(source).save(tmp_path / "photo.png")
        source = source.rename(tmp_path / "elsewhere").with_name("photo.png")
    before = source.read_bytes()
    arguments = [source, "--out", tmp_path, "--video", "link"]
    assert predict_video(*arguments, "--render") == 1
    assert f"{source}: is the source, and a result would have its name; choose another --out" in capsys.readouterr().err
    assert not (tmp_path / "stores").exists()
    assert predict_video(*arguments) == 0
    for more in ([], ["--smoothing", "gaussian:0.4s"]):
        assert predict_video(*arguments, "--render", *more) == 1
        assert f"{source}: is the source" in capsys.readouterr().err
    assert source.read_bytes() == before
    assert predict_video(source, "--out", tmp_path / "out", "--render") == 0
    assert (tmp_path / "out" / source.name).stat().st_size and source.read_bytes() == before


@pytest.mark.parametrize("name", ["k.web.mp4", "k_person1.csv", "k_person12.csv", "k.mp4"])
@pytest.mark.parametrize("again", [False, True], ids=["first", "after other results"])
def test_files_of_others_are_left_alone_whatever_the_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, again: bool
) -> None:
    source = write_numbered(tmp_path / "k.ts", 3, "mpeg4")
    if again:
        assert predict_video(source, "--out", tmp_path) == 0
    (tmp_path / name).write_bytes(b"mine")
    before = results(tmp_path)
    assert predict_video(source, "--out", tmp_path, "--subjects", "all", "--render", "--video", "link") == 1
    assert f"{tmp_path / name}: has the name of a result and is none; choose another --out" in capsys.readouterr().err
    assert results(tmp_path) == before


def test_a_copy_of_a_damaged_video_replaces_no_other_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That it needs a copy is known only once it was read."""
    whole = write_clip(tmp_path / "whole.mp4", noise(30))
    source = corrupt(whole, tmp_path / "k.mp4", 0.4, 0.6)
    (tmp_path / "k.web.mp4").write_bytes(b"mine")
    before = results(tmp_path)
    assert predict_video(source, "--out", tmp_path) == 1
    assert "k.web.mp4: has the name of a result and is none" in capsys.readouterr().err
    assert results(tmp_path) == before


def test_results_of_other_settings_are_replaced(tmp_path: Path) -> None:
    """The table of a person, the copy for the page and the annotated video are results whatever was asked for last."""
    source = write_clip(tmp_path / "k.avi", portraits(NUM_FRAMES))
    out = tmp_path / "out"
    everything = [source, "--out", out, "--subjects", "all", "--render", "--video", "link"]
    assert predict_video(*everything) == 0
    unbroken = results(out)
    assert {"k_person1.csv", "k.html", "k.web.mp4", "k.mp4"} <= set(summary(out, "k")["files"])
    assert predict_video(source, "--out", out, "--smoothing", "box:0.2s") == 0
    assert summary(out, "k")["files"] == ["k.csv", "k.html"]
    assert summary(out, "k")["outdated"] == ["k.mp4", "k_person1.csv"]
    for name in ("k.mp4", "k_person1.csv"):
        (out / name).write_bytes(b"of other settings")
    assert predict_video(*everything) == 0
    found = results(out)
    assert [found[name] for name in ("k_person1.csv", "k.html")] == [unbroken["k_person1.csv"], unbroken["k.html"]]
    for name in ("k.mp4", "k.web.mp4"):  # encoded again, not always to the same bytes
        with open_video(out / name) as video:
            assert sum(frame.image is not None for frame in video) == NUM_FRAMES


def test_an_outdated_rendering_is_made_again(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "k.mp4", portraits(8))
    out = tmp_path / "out"
    assert predict_video(source, "--out", out, "--render") == 0
    assert predict_video(source, "--out", out, "--smoothing", "box:0.2s") == 0
    (out / "k.mp4").write_bytes(b"of other settings")
    assert predict_video(source, "--out", out, "--smoothing", "box:0.2s", "--render") == 0
    with open_video(out / "k.mp4") as rendered:
        assert sum(1 for _ in rendered) == 8


def test_a_page_of_another_name_is_no_overview(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "index.html").write_text("<h1>My films</h1>")
    assert predict_video(videos / "nobody.mp4", videos / "photo.jpg", "--out", tmp_path) == 0
    assert f"{tmp_path / 'index.html'}: has the name of the overview and is none" in capsys.readouterr().err
    assert (tmp_path / "index.html").read_text() == "<h1>My films</h1>"
    assert (tmp_path / "nobody.html").exists() and (tmp_path / "photo.html").exists()


@pytest.mark.parametrize("place", [".", "pages", "pages/of today"])
def test_results_among_the_videos_are_no_videos(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    write_numbered(tmp_path / "k.ts", 3, "mpeg4")
    (tmp_path / "more").mkdir()
    write_clip(tmp_path / "more" / "nobody.avi", noise(3))
    monkeypatch.chdir(tmp_path)
    arguments = [".", "--out", tmp_path / place, "--render", "--video", "link"]
    assert predict_video(*arguments) == 0
    before = results(tmp_path / place)
    assert {"k.mp4", "k.web.mp4", "nobody.mp4"} <= set(before)
    capsys.readouterr()
    assert predict_video(*arguments) == 0
    assert capsys.readouterr().err.count("exists already") == 2
    assert results(tmp_path / place) == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["missing.mp4"], "missing.mp4"),
        (["VIDEO", "--smoothing", "viterbi"], "needs annotated videos"),
        (["VIDEO", "--smoothing", "box"], "box"),
        (["VIDEO", "--annotations", "EMPTY"], "no annotation file"),
        (["VIDEO", "--checkpoint", "EMPTY"], "EMPTY"),
    ],
)
def test_bad_arguments_are_reported_before_anything_is_written(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    (tmp_path / "EMPTY").mkdir()
    names = {"VIDEO": str(videos / "nobody.mp4"), "EMPTY": str(tmp_path / "EMPTY")}
    assert predict_video(*(names.get(each, each) for each in arguments), "--out", tmp_path / "out") != 0
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists() or not results(tmp_path / "out")


@pytest.mark.slow
def test_killed_at_random_moments_and_repeated(made: Path, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = [sys.executable, "-m", "pipelines.cli", "predict-video", str(videos), "--out", str(out), "--render"]
    arguments += ["--detector", "builtin", "--accelerator", "cpu"]
    generator = random.Random(0)
    unbroken = results(made)
    for _ in range(5):
        process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL, text=True)
        while not (out / "stores").exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(generator.uniform(0, 1.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert predict_video(videos, "--out", out, "--render") == 0
    found = results(out)
    assert found.keys() == unbroken.keys()
    for name in unbroken:
        if name.endswith(".csv"):
            assert found[name] == unbroken[name]


def test_everybody_in_a_photo_is_a_result(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    detector = shared_data / "models" / "yunet_n_dynamic.onnx"
    arguments = ["--out", str(tmp_path), "--detector", str(detector)]
    assert main(["predict-video", str(shared_data / "videos" / "multi_face.jpg"), *arguments]) == 0
    assert "multi_face.jpg: 5 faces" in capsys.readouterr().err
    people = summary(tmp_path, "multi_face")["people"]
    assert len(people) == 5
    assert all((tmp_path / f"{person['name']}.csv").is_file() for person in people)
    assert all(person["share_of_time"]["Happiness"] > 0 for person in people[:3])


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), ("--temporal", "builtin", "--smoothing", "none")], ids=["filter", "temporal"])
def test_she_cries_then_laughs(shared_data: Path, tmp_path: Path, more: tuple[str, ...]) -> None:
    assert predict_video(shared_data / "videos" / "WolfgangLanger_Pexels.mp4", "--out", tmp_path, *more) == 0
    with (tmp_path / "WolfgangLanger_Pexels.csv").open(encoding="utf-8") as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    assert len(labels) == 472
    crying = [label for label in labels[:140] if label]
    laughing = [label for label in labels[250:390] if label]
    assert crying.count("Sadness") > 0.8 * len(crying) > 80
    assert laughing.count("Happiness") > 0.9 * len(laughing) > 80


def test_a_model_gets_the_crops_that_it_expects(videos: Path, tmp_path: Path) -> None:
    crop = Crop("box", 64, 0.3)
    checkpoint = static_checkpoint(tmp_path / "ckpt", crop=crop)
    assert predict_video(videos / "photo.jpg", "--checkpoint", checkpoint, "--out", tmp_path / "out") == 0
    assert open_faces(tmp_path / "out/stores/faces/photo.arrow").crop == crop


def test_a_network_of_another_project_with_a_temporal_model(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its settings are in the file next to it, and the crops that it expects are extracted."""
    network = ConvNet.drawn().save(tmp_path / "net.onnx")
    settings = {"mean": list(MEAN), "std": list(STD), "crop": "box:64:0.3"}
    (tmp_path / "net.yaml").write_text(json.dumps(settings))
    name = f"onnx:{network}"
    source = open_extractor(name, "cpu").source
    temporal = temporal_checkpoint(tmp_path / "temporal", CLASSES, source, window=8, hop=4)
    words = ["--checkpoint", name, "--temporal", temporal, "--out", tmp_path / "out"]
    assert predict_video(videos / "photo.jpg", *words) == 0, capsys.readouterr().err
    assert open_faces(tmp_path / "out/stores/faces/photo.arrow").crop == Crop("box", 64, 0.3)
    assert summary(tmp_path / "out", "photo")["models"]["static"] == source.partition("/")[0]


def test_a_model_of_crops_that_no_video_gives(videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = static_checkpoint(tmp_path / "ckpt", crop=Crop("other", 200))
    assert predict_video(videos / "photo.jpg", "--checkpoint", checkpoint, "--out", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert f"{checkpoint}: expects other:200 crops, which were imported from elsewhere and cannot be made from" in said
    assert not (tmp_path / "out/stores").exists()


def test_another_kind_of_crop_in_the_output_folder(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, crop in (("one", Crop("aligned", 112)), ("two", Crop("box", 64, 0.3))):
        static_checkpoint(tmp_path / name, crop=crop)
    assert predict_video(videos / "photo.jpg", "--checkpoint", tmp_path / "one", "--out", tmp_path / "out") == 0
    for path in (tmp_path / "out").glob("photo.*"):
        path.unlink()
    assert predict_video(videos / "photo.jpg", "--checkpoint", tmp_path / "two", "--out", tmp_path / "out") == 1
    assert "was made from another input or with other settings; choose another --out" in capsys.readouterr().err
