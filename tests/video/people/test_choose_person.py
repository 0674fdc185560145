"""Whose faces a store holds: people out of tracks, the main person, sides, corrections."""

from __future__ import annotations

import numpy as np
import pytest

from abaw.core.errors import DataError
from abaw.video.people.choose_person import choose_all, choose_corrected, choose_main, choose_side
from abaw.video.people.corrections import Correction
from abaw.video.people.join_tracks import join_tracks
from abaw.video.people.track_book import BoxSamples, TrackBook, TrackSummary, size_times_centrality


def boxes(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def summary(number: int, first: int, last: int, weight: float, mean_x: float = 0.5) -> TrackSummary:
    frames = last - first + 1
    return TrackSummary(number, first, last, frames, weight, mean_x * frames)


def book(*summaries: TrackSummary) -> dict[int, TrackSummary]:
    return {one.number: one for one in summaries}


@pytest.mark.parametrize(
    ("label", "tracks", "main"),
    [
        ("nobody", book(), set()),
        ("one", book(summary(1, 5, 9, 1)), {1}),
        ("the heavier of two at once", book(summary(1, 1, 90, 3), summary(2, 40, 90, 7)), {2}),
        ("one person split by a cut", book(summary(1, 1, 40, 5), summary(2, 41, 90, 4)), {1, 2}),
        ("both split by a cut", book(summary(1, 1, 40, 5), summary(2, 1, 40, 1),
            summary(3, 41, 90, 2), summary(4, 41, 90, 6)), {1, 4}),
        ("filled by the heaviest first", book(summary(1, 1, 40, 9), summary(2, 50, 60, 2),
            summary(3, 55, 90, 3)), {1, 3}),
        ("equal weights: the earlier number", book(summary(2, 1, 9, 1), summary(1, 1, 9, 1)), {1}),
    ],
)  # fmt: skip
def test_main_person(label: str, tracks: dict[int, TrackSummary], main: set[int]) -> None:
    assert choose_main(join_tracks(tracks.values())).tracks == main, label


@pytest.mark.parametrize(
    ("label", "tracks", "left", "right"),
    [
        ("nobody", book(), set(), set()),
        ("two side by side", book(summary(1, 1, 90, 3, 0.7), summary(2, 1, 90, 7, 0.3)), {2}, {1}),
        ("both on the right half", book(summary(1, 1, 90, 3, 0.9), summary(2, 1, 90, 7, 0.6)), {2}, {1}),
        ("alone on the left", book(summary(1, 1, 90, 3, 0.2)), {1}, set()),
        ("never at once", book(summary(1, 1, 40, 3, 0.2), summary(2, 50, 90, 2, 0.8)), {1}, {2}),
        ("split by a cut", book(summary(1, 1, 40, 3, 0.3), summary(2, 1, 40, 3, 0.7),
            summary(3, 41, 90, 3, 0.35), summary(4, 41, 90, 3, 0.65)), {1, 3}, {2, 4}),
        ("a bystander", book(summary(1, 1, 90, 9, 0.3), summary(2, 1, 90, 8, 0.7),
            summary(3, 1, 90, 1, 0.05)), {1}, {2}),
    ],
)  # fmt: skip
def test_sides(label: str, tracks: dict[int, TrackSummary], left: set[int], right: set[int]) -> None:
    people = join_tracks(tracks.values())
    assert (choose_side(people, "left").tracks, choose_side(people, "right").tracks) == (left, right), label


def test_all_leaves_people_out_who_are_seen_briefly_and_begins_with_the_longest() -> None:
    people = join_tracks(book(summary(2, 1, 10, 1), summary(1, 1, 9, 5), summary(3, 1, 50, 1)).values())
    assert [chosen.tracks for chosen in choose_all(people, 10)] == [{3}, {2}]


def test_size_times_centrality() -> None:
    values = size_times_centrality(
        boxes([40, 40, 60, 60], [30, 30, 70, 70], [-10, -10, 10, 10], [5, 5, 5, 9]), (100, 100)
    )
    np.testing.assert_allclose(values, [0.2, 0.4, 0.0, 0.0], atol=1e-6)


def test_book_sums_up_over_the_video() -> None:
    tracks = TrackBook()
    tracks.add(
        3, np.array([1, 2], np.int32), boxes([40, 40, 60, 60], [0, 40, 20, 60]), np.float32([0.7, 0.9]), (100, 100)
    )
    tracks.add(7, np.array([1], np.int32), boxes([60, 40, 80, 60]), np.float32([0.6]), (100, 100))
    first = tracks.summaries[1]
    assert (first.first, first.last, first.num_frames, first.sum_x) == (3, 7, 2, pytest.approx(1.2))
    assert first.weight == pytest.approx(0.2 + 0.2 * (1 - 0.2 * 2**0.5))
    assert tracks.summaries[2].sum_x == pytest.approx(0.1)
    assert (first.best_score, tracks.summaries[2].best_score) == (pytest.approx(0.7), pytest.approx(0.9))
    assert tracks.frames_with_people == 2


@pytest.mark.parametrize(
    ("label", "score", "frames", "person"),
    [
        ("one confident frame", 0.85, [1], True),
        ("one weak frame", 0.65, [1], False),
        ("weak but lasting", 0.65, [1, 2, 3, 4, 5], True),
        ("weak and flickering", 0.65, [1, 4, 8, 12, 15, 19], False),
        ("weak, every other frame", 0.65, [1, 3, 5, 7, 9], True),
        ("confident and flickering", 0.85, [1, 9, 19], True),
    ],
)
def test_a_flickering_weak_face_is_nobody(label: str, score: float, frames: list[int], person: bool) -> None:
    tracks = TrackBook()
    for frame in frames:
        tracks.add(frame, np.array([1], np.int32), boxes([40, 40, 60, 60]), np.float32([score]), (100, 100))
    tracks.keep_people(5)
    assert set(tracks.summaries) == ({1} if person else set()), label
    assert tracks.frames_with_people == (len(frames) if person else 0)


def seen(number: int, first: int, last: int, weight: float, appearance: tuple[float, ...]) -> TrackSummary:
    """A track of an appearance; its vector is made a unit one."""
    one = summary(number, first, last, weight)
    one.sum_appearance = np.array(appearance) / np.linalg.norm(appearance) * one.num_frames
    return one


ALIKE, NEAR, OTHER = (1.0, 0.1, 0.0), (1.0, 0.75, 0.0), (0.2, 0.1, 1.0)
"""Cosines with (1, 0, 0): 0.995, 0.8 (may be the same) and 0.2 (somebody else)."""
ME = (1.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("label", "tracks", "people"),
    [
        ("nobody", [], []),
        ("across a cut", [seen(1, 1, 40, 5, ME), seen(2, 41, 90, 4, ALIKE)], [(1, 2)]),
        ("at once are two", [seen(1, 1, 40, 5, ME), seen(2, 40, 90, 4, ME)], [(1,), (2,)]),
        ("in doubt apart", [seen(1, 1, 40, 5, ME), seen(2, 41, 90, 4, NEAR)], [(1,), (2,)]),
        ("too short to decide", [seen(1, 1, 40, 5, ME), seen(2, 41, 44, 4, ME)], [(1,), (2,)]),
        ("appearance unknown", [summary(1, 1, 40, 5), summary(2, 41, 90, 4)], [(1,), (2,)]),
        ("shot and counter-shot", [seen(1, 1, 40, 5, ME), seen(2, 41, 60, 9, OTHER),
            seen(3, 61, 90, 1, ALIKE), seen(4, 91, 99, 1, OTHER)], [(2, 4), (1, 3)]),
        ("two of the next shot are as like", [seen(1, 1, 40, 5, ME), seen(2, 41, 90, 4, ME),
            seen(3, 41, 90, 3, ALIKE)], [(1,), (2,), (3,)]),
        ("every one like every other", [seen(1, 1, 9, 5, (1, 0.3, 0)), seen(2, 11, 19, 4, ME),
            seen(3, 21, 29, 3, (1, -0.3, 0))], [(1, 2), (3,)]),
    ],
)  # fmt: skip
def test_people_out_of_tracks(label: str, tracks: list[TrackSummary], people: list[tuple[int, ...]]) -> None:
    assert [person.numbers for person in join_tracks(tracks)] == people, label


@pytest.mark.parametrize(
    ("label", "tracks", "main", "margin", "runner_up"),
    [
        ("nobody", [], set(), None, ()),
        ("alone", [summary(1, 1, 90, 4)], {1}, 1.0, ()),
        ("half as heavy", [summary(1, 1, 90, 4), summary(2, 1, 90, 2)], {1}, 0.5, (2,)),
        ("a tie", [summary(1, 1, 90, 4), summary(2, 1, 90, 4)], {1}, 0.0, (2,)),
        ("in pieces heavier than in one", [seen(1, 1, 40, 3, ME), seen(2, 41, 90, 3, ME),
            seen(3, 1, 90, 5, OTHER)], {1, 2}, 0.1667, (3,)),
        ("somebody else alone in another shot", [seen(1, 1, 40, 5, ME), seen(2, 41, 90, 4, OTHER)], {1}, 0.2, (2,)),
        ("perhaps the same, alone", [seen(1, 1, 40, 5, ME), seen(2, 41, 90, 4, NEAR)], {1, 2}, 1.0, ()),
        ("perhaps the same, but not the main one there", [seen(1, 1, 40, 5, ME), seen(2, 41, 90, 2, NEAR),
            seen(3, 41, 90, 3, OTHER)], {1}, 0.4, (3,)),
    ],
)  # fmt: skip
def test_margin(
    label: str, tracks: list[TrackSummary], main: set[int], margin: float | None, runner_up: tuple[int, ...]
) -> None:
    choice = choose_main(join_tracks(tracks))
    assert (choice.tracks, choice.margin, choice.runner_up) == (main, margin, runner_up), label


def test_margin_of_a_side_is_over_others_on_that_side() -> None:
    tracks = [summary(1, 1, 90, 8, 0.2), summary(2, 1, 90, 9, 0.8), summary(3, 1, 90, 6, 0.1)]
    people = join_tracks(tracks)
    assert (choose_side(people, "left").margin, choose_side(people, "left").runner_up) == (0.25, (3,))
    assert choose_side(people, "right").margin == 1.0


def rows(*tracks: int) -> list[Correction]:
    return [Correction("clip", track, None, f"c.csv, line {line}") for line, track in enumerate(tracks, start=2)]


def test_a_correction_takes_the_person_of_its_track() -> None:
    people = join_tracks([seen(1, 1, 40, 5, ME), seen(2, 41, 90, 4, ALIKE), seen(3, 1, 90, 1, OTHER)])
    assert choose_corrected(people, rows(2)).tracks == {1, 2}
    assert choose_corrected(people, rows(3)).tracks == {3}
    assert choose_corrected(people, rows(1, 2)).tracks == {1, 2}
    with pytest.raises(DataError, match="c.csv, line 3: no track 7 in clip; its tracks are 1, 2, 3"):
        choose_corrected(people, rows(1, 7))
    with pytest.raises(DataError, match="c.csv, line 3: track 3 is present at the same time as track 1"):
        choose_corrected(people, rows(1, 3))
    with pytest.raises(DataError, match="its tracks are none"):
        choose_corrected([], rows(1))


def test_nobodys_faces_are_in_no_summary() -> None:
    tracks = TrackBook()
    tracks.add(
        1, np.array([0], np.int32), boxes([40, 40, 60, 60]), np.float32([0.5]), (100, 100), np.ones((1, 3), np.float32)
    )
    assert tracks.summaries == {}
    assert tracks.samples.to_plain() == [{"frame": 1, "faces": []}]


@pytest.mark.parametrize("num_frames", [1, 48, 49, 1000, 5000])
def test_samples_stay_few_and_cover_the_video(num_frames: int) -> None:
    samples = BoxSamples()
    for frame in range(1, num_frames + 1):
        samples.add(frame, np.array([1], np.int32), boxes([0, 1, 2, frame]))
    kept = samples.to_plain()
    frames = [one["frame"] for one in kept]
    assert min(num_frames, 24) <= len(frames) <= 48
    steps = set(np.diff(frames).tolist())
    assert frames[0] == 1
    assert len(steps) <= 1
    assert num_frames - frames[-1] < max(steps, default=1)
    assert all(one["faces"] == [[1, 0, 1, 2, one["frame"]]] for one in kept)
