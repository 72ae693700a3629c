import pytest

from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.planning.shots.timeline import TimelineFrame, timelines


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def frame(name, **known):
    return FrameTask(input=name, output=name, **known)


def test_neighbours_include_frames_that_are_not_selected(tmp_path):
    touch(tmp_path, *(f"a/sh.{n:04d}.exr" for n in range(1, 30)), "a/other.0005.exr", "a/sh.0005.jpg", "a/sh.0006.txt")
    (line,) = timelines([frame("a/sh.0010.exr"), frame("a/sh.0012.exr")], tmp_path, reach=2)
    assert line.frames == ((0, 10), (1, 12))
    assert list(line.existing) == [8, 9, 10, 11, 12, 13, 14]
    assert line.existing[13] == TimelineFrame("a/sh.0013.exr")


def test_sequences_are_separated(tmp_path):
    names = ["sh.0001.png", "sh.0002.png", "sh.0003.jpg", "b/sh.0001.png", "sh2.0003.png", "tree.png"]
    touch(tmp_path, *names)
    lines = timelines([frame(name) for name in names], tmp_path, reach=1)
    assert [list(line.existing) for line in lines] == [[1, 2], [3], [1], [3], []]
    assert [line.frames for line in lines] == [((0, 1), (1, 2)), ((2, 3),), ((3, 1),), ((4, 3),), ((5, None),)]


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["s.9.png", "s.10.png", "s.11.png"], [9, 10, 11]),
        (["s.-002.png", "s.-001.png", "s.0000.png", "s.0001.png"], [-2, -1, 0, 1]),
        (["v2-0007.png", "v2-0008.png"], [7, 8]),
    ],
)
def test_padding_and_signs_are_those_of_the_names(tmp_path, names, numbers):
    touch(tmp_path, *names)
    (line,) = timelines([frame(names[0]), frame(names[-1])], tmp_path, reach=0)
    assert list(line.existing) == numbers
    assert [frame.input for frame in line.existing.values()] == names


def test_a_pattern_knows_which_digits_count(tmp_path):
    touch(tmp_path, *(f"sh.{n:03d}.v2.png" for n in range(4, 9)))
    (line,) = timelines([frame("sh.006.v2.png", number=6)], tmp_path, reach=1)
    assert {number: frame.input for number, frame in line.existing.items()} == {
        5: "sh.005.v2.png", 6: "sh.006.v2.png", 7: "sh.007.v2.png",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["sh.{}.png", "sh.{}.v2.png"])
def test_a_black_frame_has_a_place_but_no_picture(tmp_path, name):
    names = [name.format(number) for number in (1, 2, 4)]
    touch(tmp_path, *names)
    black = FrameTask(input=names[1], output=name.format(3), missing="black", number=3)
    one, two, four = (frame(name, number=number) for name, number in zip(names, (1, 2, 4), strict=True))
    (line,) = timelines([one, two, black, four], tmp_path, reach=1)
    assert line.frames == ((0, 1), (1, 2), (2, 3), (3, 4))
    assert {number: found.input for number, found in line.existing.items()} == dict(zip((1, 2, 4), names, strict=True))


def test_a_shot_whose_name_ends_with_a_frame_s_number_is_not_split(tmp_path):
    names = [f"sh{shot}.{number:04d}.png" for shot in (1, 2, 3) for number in (1, 2)]
    touch(tmp_path, *names)
    lines = timelines([frame(name) for name in names], tmp_path, reach=1)
    assert [list(line.existing) for line in lines] == [[1, 2]] * 3


def test_a_black_frame_alone_has_neighbours(tmp_path):
    touch(tmp_path, "sh.1.png", "sh.2.png", "sh.4.png")
    black = FrameTask(input="sh.2.png", output="sh.3.png", missing="black", number=3)
    (line,) = timelines([black], tmp_path, reach=1)
    assert list(line.existing) == [2, 4]


def test_a_held_frame_stands_where_the_one_that_it_repeats_does(tmp_path):
    touch(tmp_path, "sh.1.png", "sh.2.png", "sh.4.png")
    held = FrameTask(input="sh.2.png", output="sh.3.png", missing="hold", number=2)
    (line,) = timelines([frame("sh.1.png"), frame("sh.2.png"), held, frame("sh.4.png")], tmp_path, reach=1)
    assert line.frames == ((0, 1), (1, 2), (2, 2), (3, 4))
    assert list(line.existing) == [1, 2, 4]


def test_movies_count_from_their_first_frame(tmp_path, monkeypatch):
    monkeypatch.setattr("stylegan_core.inference.planning.shots.timeline.frame_count", lambda path: 9)
    lines = timelines([frame("m.mov", index=n) for n in (5, 6, 7)], tmp_path, reach=2)
    assert list(lines[0].existing) == [3, 4, 5, 6, 7, 8]
    assert lines[0].existing[4] == TimelineFrame("m.mov", 4)
