"""Patterns of many programs in one form."""

from __future__ import annotations

from pathlib import Path

import pytest

from stylegan_core.frames.sequences.pattern import Pattern, is_pattern, parse_pattern


@pytest.mark.parametrize(
    ("text", "head", "digits", "tail"),
    [
        ("shot.####.exr", "shot.", 4, ".exr"),
        ("shot.#.exr", "shot.", 4, ".exr"),
        ("shot.######.exr", "shot.", 6, ".exr"),
        ("shot.%04d.exr", "shot.", 4, ".exr"),
        ("shot.%d.exr", "shot.", 0, ".exr"),
        ("shot.@@@@.exr", "shot.", 4, ".exr"),
        ("shot.@.exr", "shot.", 0, ".exr"),
        ("shot.$F4.exr", "shot.", 4, ".exr"),
        ("shot.${F5}.exr", "shot.", 5, ".exr"),
        ("shot.$F.exr", "shot.", 0, ".exr"),
        ("sh010_v2_####_left.dpx", "sh010_v2_", 4, "_left.dpx"),
        ("####.png", "", 4, ".png"),
    ],
)
def test_the_ways_to_write_a_number(text: str, head: str, digits: int, tail: str) -> None:
    assert parse_pattern(f"a#1/b%d/{text}") == Pattern(Path("a#1/b%d"), head, tail, digits)
    assert is_pattern(text)


@pytest.mark.parametrize(
    ("text", "head", "digits", "numbers"),
    [
        ("shot.1-4#.exr", "shot.", 4, (1, 2, 3, 4)),
        ("shot.-2-1###.exr", "shot.", 3, (-2, -1, 0, 1)),
        ("shot.-4--2@.exr", "shot.", 0, (-4, -3, -2)),
        ("shot-1-3#.exr", "shot-", 4, (1, 2, 3)),
        ("shot.1-5x2,9%03d.exr", "shot.", 3, (1, 3, 5, 9)),
        ("shot.[0001-0003].exr", "shot.", 4, (1, 2, 3)),
        ("shot.[8-10].exr", "shot.", 0, (8, 9, 10)),
        ("shot.####.exr 1001-1005x2", "shot.", 4, (1001, 1003, 1005)),
        ("sh010####.exr", "sh010", 4, None),
    ],
)
def test_ranges_in_a_pattern(text: str, head: str, digits: int, numbers: tuple[int, ...] | None) -> None:
    found = parse_pattern(text)
    assert (found.head, found.digits, found.numbers, found.tail) == (head, digits, numbers, ".exr")


@pytest.mark.parametrize("text", ["shot.exr", "100%.png", "$Ford.png", "2024-01-05.png", "a[1].png"])
def test_plain_names_are_no_patterns(text: str) -> None:
    assert not is_pattern(text)
    with pytest.raises(ValueError, match="not a sequence pattern: write it like"):
        parse_pattern(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [("skin.<UDIM>.exr", "UDIM"), ("shot.%V.####.exr", "one view"), ("shot.##.####.exr", "two placeholders")],
)
def test_what_is_no_sequence_of_frames_is_refused_by_name(text: str, message: str) -> None:
    assert is_pattern(text)
    with pytest.raises(ValueError, match=message):
        parse_pattern(text)


def test_names_keep_their_padding_and_sign() -> None:
    pattern = parse_pattern("shot.####.exr")
    assert [pattern.name(n) for n in (7, -5, 12345)] == ["shot.0007.exr", "shot.-0005.exr", "shot.12345.exr"]
    assert [pattern.number(pattern.name(n)) for n in (7, -5, 12345, 0)] == [7, -5, 12345, 0]
    assert [pattern.number(f"shot.{t}.exr") for t in ("-005", "007", "00007", "", "x", "+007")] == [-5, *[None] * 5]
    assert parse_pattern("shot.%d.exr").name(-5) == "shot.-5.exr"
    assert str(parse_pattern("a/shot.$F3.exr")) == "a/shot.###.exr"


def test_the_backslashes_of_windows_separate_folders() -> None:
    assert parse_pattern("plates\\sh010\\s.####.exr").folder == Path("plates/sh010")
