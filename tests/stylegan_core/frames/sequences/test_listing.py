"""Sequences: natural order, patterns, ranges, and matching by number and by name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stylegan_core.frames.sequences.listing import (
    Frame,
    frame_number,
    list_frames,
    list_pictures,
    match_pattern,
)
from stylegan_core.frames.sequences.pattern import is_pattern, parse_pattern


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def numbers(frames: list[Frame]) -> list[int | None]:
    return [frame.number for frame in frames]


def test_pictures_in_natural_order_without_what_is_hidden(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "a10.png",
        "a2.PNG",
        "a1.jpeg",
        "notes.txt",
        ".hidden.png",
        ".stylereel/x.png",
        "b/c3.tif",
        "b/c20.webp",
    )
    frames = list_pictures(tmp_path)
    assert [frame.relative.as_posix() for frame in frames] == ["a1.jpeg", "a2.PNG", "a10.png", "b/c3.tif", "b/c20.webp"]
    assert numbers(frames) == [1, 2, 10, 3, 20]
    assert frames[3].path == tmp_path / "b" / "c3.tif"
    assert len(list_pictures(tmp_path, recursive=False)) == 3


def test_a_link_back_is_not_followed_and_other_links_are(tmp_path: Path) -> None:
    folder = touch(tmp_path / "in", "a/1.png", "a/b/2.png")
    touch(tmp_path / "elsewhere", "3.png")
    (folder / "a/b/back").symlink_to(folder)
    (folder / "more").symlink_to(tmp_path / "elsewhere")
    names = [frame.relative.as_posix() for frame in list_pictures(folder)]
    assert names == ["a/1.png", "a/b/2.png", "more/3.png"]


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "good.png")
    try:
        (tmp_path / os.fsdecode(b"bad\xff.png")).touch()
    except OSError:
        pytest.skip("this file system takes no such names")
    with pytest.raises(ValueError, match=r"bad\\xff\.png: its name is not UTF-8"):
        list_pictures(tmp_path)


def test_folders_that_hold_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no folder"):
        list_pictures(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="it holds nothing"):
        list_pictures(tmp_path)
    touch(tmp_path, "a.gif", "b.gif", "c.txt")
    with pytest.raises(ValueError, match=r"2 x \.gif, 1 x \.txt"):
        list_pictures(tmp_path)
    with pytest.raises(NotADirectoryError):
        list_pictures(tmp_path / "a.gif")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("shot.####.png", [1, 2, 10, 9999, 10000]),
        ("shot.#.png", [1, 2, 10, 9999, 10000]),
        ("shot.%04d.png", [1, 2, 10, 9999, 10000]),
        ("shot.@.png", [1, 2, 10, 9999, 10000]),
        ("shot.%d.png", [1, 2, 10, 9999, 10000]),
        ("shot.1-2#.png", [1, 2]),
        ("plate_##.jpg", [7]),
        ("plate_@.jpg", [7, 8]),
        ("plate_07.jpg", [7]),
        ("v2.###.tif", [-1, 5]),
        ("n.####.exr", [-10, -5, 0, 12]),
        ("n.$F4.exr", [-10, -5, 0, 12]),
        ("n.@@@@.exr", [-10, -5, 0, 12]),
        ("n.[-0005-0012].exr", [-5, 0, 12]),
    ],
)
def test_patterns(tmp_path: Path, pattern: str, expected: list[int]) -> None:
    touch(tmp_path, *(f"shot.{number:04d}.png" for number in (1, 2, 10, 9999, 10000)))
    touch(
        tmp_path, "shot.x.png", "shot..png", "shot.0001.jpg", "plate_07.jpg", "plate_8.jpg", "v2.005.tif", "v2.-01.tif"
    )
    touch(tmp_path, "n.-0005.exr", "n.-010.exr", "n.0012.exr", "n.0000.exr", "n.12.exr")
    if "[" not in pattern:
        assert numbers(list_frames(str(tmp_path / pattern))) == expected
    if is_pattern(pattern):
        assert numbers(match_pattern(parse_pattern(tmp_path / pattern))) == expected


def test_frame_numbers_do_not_come_from_the_version(tmp_path: Path) -> None:
    assert frame_number(Path("shot010.v2.0007.png")) == 7
    assert frame_number(Path("shot.png")) is None


def test_a_minus_is_a_sign_after_a_dot_or_an_underscore_only(tmp_path: Path) -> None:
    assert [frame_number(Path(n)) for n in ("s.-0005.exr", "s_-5.exr", "-5.exr", "s-0005.exr", "2024-01-05.png")] == [
        -5, -5, -5, 5, 5
    ]  # fmt: skip
    touch(tmp_path, "s.-10.png", "s.-2.png", "s.0.png", "s.3.png", "s-4.png")
    assert numbers(list_pictures(tmp_path)) == [4, -10, -2, 0, 3]


def test_a_folder_with_a_range(tmp_path: Path) -> None:
    touch(tmp_path, *(f"a.{number}.png" for number in range(1, 11)))
    assert numbers(list_frames(tmp_path, "1-10x3,2")) == [1, 4, 7, 10, 2]
    assert numbers(list_frames(tmp_path / "a.@.png", "9-10")) == [9, 10]
    with pytest.raises(FileNotFoundError, match="no frame 11-12; frames there: 1 to 10"):
        list_frames(tmp_path, "9-12")


def test_patterns_that_match_nothing(tmp_path: Path) -> None:
    touch(tmp_path, "a.0001.png", "b.1.png", "b.01.png")
    with pytest.raises(ValueError, match=r"no file matches .*z\.####\.png"):
        list_frames(tmp_path / "z.%04d.png")
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        list_frames(tmp_path / "a.png")
    with pytest.raises(FileNotFoundError, match="no file for frame 2-3"):
        list_frames(tmp_path / "a.1-3####.png")
    with pytest.raises(FileNotFoundError, match="no folder"):
        list_frames(tmp_path / "nowhere" / "a.####.png")
    with pytest.raises(ValueError, match="frame 1 occurs twice"):
        list_frames(tmp_path / "b.@.png")
