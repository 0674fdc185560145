"""Commands on an object store: the same stores as on a disk, resumed without reading them, also after a kill."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from abaw.core.artifacts import PARTIAL
from pipelines.cli import main
from tests.checkpoints import static_checkpoint
from tests.data.faces import video_store
from tests.engine.functions import wait
from tests.object_servers import SERVERS, ObjectServer, object_server
from tests.video.clips import portraits, write_clip

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    with object_server(request.param, tmp_path_factory.mktemp("server") / "log") as server:
        yield server


@pytest.fixture(autouse=True)
def scratch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder for temporary files, of commands that are started as well."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.fixture(scope="module")
def videos(server: ObjectServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    (folder / "inner").mkdir()
    for name in ("a", "inner/b", "c"):
        write_clip(folder / f"{name}.mp4", portraits(4, side=96))
    server.put(folder, "videos")
    time.sleep(1.1)  # S3 has whole seconds, and only results newer than their videos are recorded as finished
    return folder


def stores(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.arrow")}


def copies(scratch: Path) -> list[Path]:
    return list(scratch.glob(f".*{PARTIAL}"))


def extract(*words: str | Path) -> list[str]:
    return ["extract", *map(str, words), "--detector", "builtin"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_stores_are_those_of_a_local_folder(
    server: ObjectServer, videos: Path, tmp_path: Path, scratch: Path, workers: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(extract(videos, "--out", tmp_path / "faces")) == 0
    capsys.readouterr()
    out = f"faces{workers}"
    words = extract(server.url("videos/"), "--out", server.url(f"videos/{out}"), "--workers", workers)
    assert main(words) == 0
    assert server.read(f"videos/{out}", ".arrow") == stores(tmp_path / "faces") != {}
    made = server.times(f"videos/{out}", ".arrow")
    assert main(words) == 0
    assert "finished already" in capsys.readouterr().err
    assert server.times(f"videos/{out}", ".arrow") == made
    assert not copies(scratch)


def test_the_whole_chain(server: ObjectServer, tmp_path: Path, scratch: Path) -> None:
    static_checkpoint(tmp_path / "ckpt")
    for name in "ab":
        video_store(tmp_path / f"bucket/faces/{name}.arrow", [0, 1, None, 3] * 5)
    server.put(tmp_path / "bucket", "chain")
    model = ["--checkpoint", str(tmp_path / "ckpt"), "--accelerator", "cpu"]
    for place in (f"{tmp_path}/bucket", server.url("chain")):
        assert main(["features", "--faces", f"{place}/faces", "--out", f"{place}/features", *model]) == 0
        assert main(["predict", "--features", f"{place}/features", "--out", f"{place}/predictions", *model]) == 0
    assert server.read("chain", ".arrow") == stores(tmp_path / "bucket")
    assert len(server.read("chain", ".arrow")) == 6
    # One store of the bucket, into a local folder.
    assert main(["features", "--faces", server.url("chain/faces/b.arrow"), "--out", str(tmp_path / "one"), *model]) == 0
    assert stores(tmp_path / "one") == {"b.arrow": stores(tmp_path / "bucket")["features/b.arrow"]}
    assert not copies(scratch)


def test_a_list_of_remote_videos(
    server: ObjectServer, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inner, gone = server.url("videos/inner/b.mp4"), server.url("videos/gone.mp4")
    rows = f"path,subject,frames\n{inner},somebody,4\n{gone},,\n"
    (tmp_path / "list.csv").write_text(rows)
    server.write("videos/lists/all.csv", rows.encode())
    for number, source in enumerate((str(tmp_path / "list.csv"), server.url("videos/lists/all.csv"))):
        out = tmp_path / str(number)
        assert main(extract(source, "--out", out)) == 1
        assert list(stores(out)) == ["somebody.arrow"]
        said = capsys.readouterr().err
        assert f"gone.mp4: failed: {gone}: no such object" in said


def test_what_was_made_otherwise_is_not_overwritten(
    server: ObjectServer, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = extract(server.url("videos/a.mp4"), "--out", server.url("videos/otherwise"))
    assert main([*words, "--jpeg_quality", "80"]) == 0
    before = server.read("videos/otherwise", ".arrow")
    capsys.readouterr()
    assert main(words) == 1
    assert f"{server.url('videos/otherwise/a.arrow')}: " in capsys.readouterr().err
    assert server.read("videos/otherwise", ".arrow") == before


def test_without_the_record_stores_are_examined(
    server: ObjectServer, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = extract(server.url("videos/a.mp4"), server.url("videos/c.mp4"), "--out", server.url("videos/unrecorded"))
    assert main(words) == 0
    for name in server.read("videos/unrecorded", ".finished"):
        server.files.delete_file(f"videos/unrecorded/{name}")
    server.files.delete_file("videos/unrecorded/c.arrow")
    made = server.times("videos/unrecorded", "a.arrow")
    capsys.readouterr()
    assert main(words) == 0
    assert "a.mp4: already exists" in capsys.readouterr().err
    assert server.times("videos/unrecorded", "a.arrow") == made
    assert set(server.read("videos/unrecorded", ".arrow")) == {"a.arrow", "c.arrow"}


@pytest.mark.slow
def test_workers_of_ray_copy_their_files_themselves(
    server: ObjectServer, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed; pip install 'abaw[ray]'")
    monkeypatch.delenv("TMPDIR")  # too long for the sockets of Ray
    assert main(extract(videos / "a.mp4", videos / "c.mp4", "--out", tmp_path / "faces")) == 0
    words = extract(
        server.url("videos/a.mp4"), server.url("videos/c.mp4"), "--out", server.url("videos/ray"), "--engine", "ray"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *words, "--workers", "2"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert server.read("videos/ray", ".arrow") == stores(tmp_path / "faces")


@pytest.mark.slow
def test_a_command_that_is_killed_goes_on_when_it_is_run_again(
    server: ObjectServer, tmp_path: Path, scratch: Path
) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in "abcdef":
        write_clip(folder / f"{name}.mp4", portraits(12, side=96))
    server.put(folder, "killed")
    assert main(extract(folder, "--out", tmp_path / "faces")) == 0
    words = extract(server.url("killed/"), "--out", server.url("killed/faces"), "--workers", "2")
    process = subprocess.Popen([sys.executable, "-m", "pipelines.cli", *words], stderr=subprocess.DEVNULL)
    wait(lambda: bool(server.times("killed/faces", ".arrow")), 300)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = server.times("killed/faces", ".arrow")
    assert 0 < len(kept) < 6
    assert all(data == stores(tmp_path / "faces")[name] for name, data in server.read("killed/faces", ".arrow").items())
    assert main(words) == 0
    assert server.read("killed/faces", ".arrow") == stores(tmp_path / "faces")
    assert kept.items() <= server.times("killed/faces", ".arrow").items()
    assert not copies(scratch), "the copies of the killed command are removed"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{scheme}://nobucket/videos", "--out", "o"], "{scheme}://nobucket/videos: no such bucket"),
        (
            ["{scheme}://videos/nothing/", "--out", "o"],
            "{scheme}://videos/nothing: no such object, and none below it (videos)",
        ),
        (
            ["{scheme}://videos/a.mp4", "--out", "{scheme}://nobucket/faces"],
            "{scheme}://nobucket/faces: no such bucket",
        ),
        (["{scheme}://videos/a.mp4", "--out", "{scheme}://"], "{scheme}://: expected {scheme}://BUCKET/NAME"),
        (["{scheme}://videos/lists/", "--out", "o"], "{scheme}://videos/lists: no video found"),
        (
            ["{videos}", "--out", "{scheme}://videos/x", "--subjects", "all"],
            "--out {scheme}://videos/x: --subjects all, --review",
        ),
        (
            ["{videos}", "--out", "{scheme}://videos/x", "--review"],
            "--out {scheme}://videos/x: --subjects all, --review",
        ),
    ],
)
def test_wrong_places(
    server: ObjectServer,
    videos: Path,
    tmp_path: Path,
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    if "videos/lists" not in str(server.read("videos")):
        server.write("videos/lists/readme.md", b"nothing")
    assert main(extract(*(word.format(videos=videos, scheme=server.scheme) for word in words))) in (1, 2)
    assert message.format(scheme=server.scheme) in capsys.readouterr().err


def test_what_is_denied_or_cannot_be_reached(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from abaw.core import object_store

    monkeypatch.setattr(object_store, "_file_system", object_store._file_system.__wrapped__)  # keeps no connection
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert main(extract("s3://videos/a.mp4", "--out", tmp_path / "o")) == 1
    assert "s3://videos/a.mp4: the server cannot be reached; check the network" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            "AWS Error ACCESS_DENIED during ListObjectsV2 operation: Access Denied",
            "access denied; check the credential",
        ),
        ("AWS Error UNKNOWN (HTTP status 403) during HeadObject operation: No response body.", "access denied; check"),
        ("AWS Error INVALID_ACCESS_KEY_ID during PutObject operation: The key", "access denied; check the credentials"),
        ("google::cloud::Status(PERMISSION_DENIED: caller)", "access denied; check the credentials"),
        ("something\n else", "something else"),
    ],
)
def test_reasons(message: str, reason: str) -> None:
    from abaw.core.object_store import _reason

    assert _reason(OSError(message)).startswith(reason)


@pytest.mark.parametrize(
    "words",
    [
        ["validate", "--predictions", "s3://b/p", "--annotations", "a", "--out", "o"],
        ["train-temporal", "--features", "s3://b/f", "--annotations", "a", "--out", "o"],
        ["predict-video", "s3://b/v.mp4"],
        ["fuse", "s3://b/a", "s3://b/b", "--out", "o"],
        ["features", "--faces", "s3://b/faces", "--checkpoint", "s3://b/static", "--out", "s3://b/f"],
        ["import-crops", ".", "--out", "s3://b/faces"],
        ["import-images", "--dataset", "unlabelled", "--root", "gs://b/i", "--out", "o"],
        ["ablate", "--features", ".", "--annotations", ".", "--out", "s3://b/runs"],
        ["extract", "s3://b/v.mp4", "--out", "o", "--corrections", "s3://b/c.csv"],
        ["train-static", "--labelled", "s3://b/faces", "--out", "o"],
        ["live", "--source", "s3://b/v.mp4"],
    ],
    ids=lambda words: words[0],
)
def test_what_needs_local_files_says_so(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert re.search(r"--?[a-z_.]+ (s3|gs)://b/\S+: needs local files; copy them, or", capsys.readouterr().err)
    assert not list(tmp_path.glob("s3*"))
