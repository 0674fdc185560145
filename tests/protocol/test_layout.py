from __future__ import annotations

from pathlib import Path

import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abaw.core.errors import DataError
from abaw.protocol.layout import find_videos, frame_name, is_image, is_video, parse_subject, video_of
from abaw.protocol.template import parse_location


@pytest.mark.parametrize(
    ("name", "video", "side"),
    [
        ("12-24-1920x1080", "12-24-1920x1080", None),
        ("6-30-1920x1080_left", "6-30-1920x1080", "left"),
        ("6-30-1920x1080_right", "6-30-1920x1080", "right"),
        ("video59_right_1", "video59", "right"),
        ("left", "left", None),
        ("_left", "_left", None),
        ("left_hand", "left_hand", None),
        ("é è_left", "é è", "left"),
    ],
)
def test_subjects(name: str, video: str, side: str | None) -> None:
    subject = parse_subject(name)
    assert (subject.name, subject.video, subject.side) == (name, video, side)


@pytest.mark.parametrize(
    ("name", "video"),
    [
        ("12-24-1920x1080", "12-24-1920x1080"),
        ("6-30-1920x1080_left", "6-30-1920x1080"),
        ("video59_right_1", "video59"),
        ("v_person1", "v"),
        ("v_person12", "v"),
        ("v_track3", "v"),
        ("é è_person2", "é è"),
        ("video_1", "video_1"),
        ("video_2", "video_2"),
        ("v_person", "v_person"),
        ("v_person1_b", "v_person1_b"),
        ("vperson1", "vperson1"),
        ("v_Person1", "v_Person1"),
        ("_person1", "_person1"),
        ("_left", "_left"),
        ("person1", "person1"),
        ("v_left_person1", "v_left"),
        ("", ""),
    ],
)
def test_videos_of_people(name: str, video: str) -> None:
    assert video_of(name) == video


def test_the_names_that_extract_gives_have_no_side() -> None:
    subject = parse_subject("v_person1")
    assert (subject.name, subject.video, subject.side) == ("v_person1", "v_person1", None)


@settings(max_examples=60, deadline=None)
@given(
    st.text(st.characters(blacklist_characters="/\n", blacklist_categories=["Cs"]), min_size=1), st.integers(1, 200_000)
)
def test_frame_names_round_trip(video: str, frame: int) -> None:
    assert parse_location(frame_name(video, frame)) == (video, frame)


def test_frame_names_have_five_digits_or_more() -> None:
    assert frame_name("a", 7) == "a/00007.jpg"
    assert frame_name("a", 123456) == "a/123456.jpg"


def test_videos_are_found_below_folders_with_any_case_and_letters(tmp_path: Path) -> None:
    names = ["batch1/b b.mp4", "batch2/é.AVI", "new_vids/a.mkv"]
    for name in [*names, "batch1/notes.txt", "batch1/b b.mp4.part"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.mp4").mkdir()
    assert [path.stem for path in find_videos([tmp_path])] == ["a", "b b", "é"]
    assert [path.name for path in find_videos([tmp_path / "batch1", tmp_path / "batch1" / "notes.txt"])] == [
        "b b.mp4",
        "notes.txt",
    ]


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_a_missing_path_and_an_empty_folder_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=name):
        find_videos([tmp_path / name])


def test_two_videos_with_the_same_name_are_refused(tmp_path: Path) -> None:
    for name in ("a/x.mp4", "b/x.avi"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    with pytest.raises(DataError, match="two videos are named 'x'"):
        find_videos([tmp_path])
    assert len(find_videos([tmp_path / "a", tmp_path / "a" / "x.mp4"])) == 1


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_an_image_of_several_frames_is_a_video(tmp_path: Path, suffix: str) -> None:
    frames = [PIL.Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    moving, still, broken = (tmp_path / f"{name}{suffix}" for name in ("moving", "still", "broken"))
    frames[0].save(moving, save_all=True, append_images=frames[1:])
    frames[0].save(still)
    broken.write_bytes(moving.read_bytes()[:20])
    assert [is_video(path) for path in (moving, still, broken, tmp_path / f"none{suffix}")] == [True, *[False] * 3]
    assert [is_image(path) for path in (moving, still, broken)] == [False, True, True]
    assert find_videos([tmp_path]) == [moving]
