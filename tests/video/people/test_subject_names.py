"""Subjects from names."""

from __future__ import annotations

from pathlib import Path

import pytest

from abaw.core.errors import DataError
from abaw.protocol.layout import Subject
from abaw.video.people.subject_names import plan_subjects, read_names


@pytest.mark.parametrize(
    ("label", "videos", "names", "subjects", "left_over"),
    [
        ("no names", ["a"], [], {"a": [Subject("a", "a", None)]}, []),
        ("itself", ["a"], ["a"], {"a": [Subject("a", "a", None)]}, []),
        ("two people", ["a"], ["a_left", "a_right_1"],
            {"a": [Subject("a_left", "a", "left"), Subject("a_right_1", "a", "right")]}, []),
        ("a video whose own name ends so", ["a_left"], ["a_left"], {"a_left": [Subject("a_left", "a_left", None)]}, []),
        ("named twice", ["a"], ["a_left", "a_left"], {"a": [Subject("a_left", "a", "left")]}, []),
        ("no such video", ["a"], ["b", "c_left"], {"a": [Subject("a", "a", None)]}, ["b", "c_left"]),
        ("one named, one not", ["a", "b"], ["b_left"],
            {"a": [Subject("a", "a", None)], "b": [Subject("b_left", "b", "left")]}, []),
        ("by number", ["a"], ["a_1", "a_2"], {"a": [Subject("a_1", "a", "left"), Subject("a_2", "a", "right")]}, []),
        ("a video whose own name ends in a number", ["a", "a_1"], ["a", "a_1"],
            {"a": [Subject("a", "a", None)], "a_1": [Subject("a_1", "a_1", None)]}, []),
        ("a number that is no side", ["a"], ["a_3"], {"a": [Subject("a", "a", None)]}, ["a_3"]),
        ("a number, and no such video", ["b"], ["a_1"], {"b": [Subject("b", "b", None)]}, ["a_1"]),
        ("numbered video with sides", ["a_1"], ["a_1_left"], {"a_1": [Subject("a_1_left", "a_1", "left")]}, []),
        ("bare next to right, as in Aff-Wild2", ["10-60-1280x720"], ["10-60-1280x720", "10-60-1280x720_right"],
            {"10-60-1280x720": [Subject("10-60-1280x720", "10-60-1280x720", "left"),
                Subject("10-60-1280x720_right", "10-60-1280x720", "right")]}, []),
        ("bare next to left", ["video59"], ["video59_left", "video59"],
            {"video59": [Subject("video59_left", "video59", "left"), Subject("video59", "video59", "right")]}, []),
        ("bare next to both", ["a"], ["a", "a_left", "a_right"],
            {"a": [Subject("a", "a", None), Subject("a_left", "a", "left"), Subject("a_right", "a", "right")]}, []),
    ],
)  # fmt: skip
def test_plan(
    label: str, videos: list[str], names: list[str], subjects: dict[str, list[Subject]], left_over: list[str]
) -> None:
    plan = plan_subjects(videos, names)
    assert (plan.subjects, plan.without_video) == (subjects, left_over), label


def test_names_of_an_annotation_folder_and_of_a_template(tmp_path: Path) -> None:
    for name in ("Train_Set/1-30.txt", "Validation_Set/2 ü_left.txt"):
        file = tmp_path / "annotations" / name
        file.parent.mkdir(parents=True)
        file.write_text("")
    assert read_names(tmp_path / "annotations") == ["1-30", "2 ü_left"]
    template = tmp_path / "template.txt"
    template.write_text("image_location,Neutral\nb_right/00001.jpg,\nb_right/00002.jpg,\na/00001.jpg,0\n")
    assert read_names(template) == ["b_right", "a"]


@pytest.mark.parametrize("name", ["gone", "empty"])
def test_nothing_there(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="annotation folder|annotation files"):
        read_names(tmp_path / name)
