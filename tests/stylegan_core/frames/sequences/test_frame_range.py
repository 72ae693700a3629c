"""Ranges of frame numbers, and gaps in words."""

from __future__ import annotations

import pytest

from stylegan_core.frames.sequences.frame_range import (
    describe_gaps,
    parse_frame_range,
    usual_step,
    write_frame_range,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1001-1010x2,1200", [1001, 1003, 1005, 1007, 1009, 1200]),
        ("7", [7]),
        ("3-1", [3, 2, 1]),
        (" 1 - 3 , 2-4 ", [1, 2, 3, 4]),
        ("-2-1", [-2, -1, 0, 1]),
        ("1-10X5", [1, 6]),
    ],
)
def test_ranges(text: str, expected: list[int]) -> None:
    assert parse_frame_range(text) == expected


@pytest.mark.parametrize("text", ["", "a", "1-", "1-5x0", "1,,2", "1-5x", "1..5", "1-99999999999"])
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(ValueError, match="write it like 1001-1100"):
        parse_frame_range(text)


@pytest.mark.parametrize("numbers", [[7], [1, 2, 3], [-5, -4, 1, 3, 5, 7, 20], [*range(1001, 1100, 2), 1200]])
def test_a_written_range_reads_back(numbers: list[int]) -> None:
    assert parse_frame_range(write_frame_range(reversed(numbers))) == numbers


def test_gaps_in_words() -> None:
    there = sorted({*range(1001, 1101)} - {1013, 1040, 1041, 1042})
    assert describe_gaps(there) == "frames 1001-1100, missing 1013, 1040-1042 (4 of 100)"
    assert describe_gaps(range(1001, 1101)) == "frames 1001-1100"
    assert describe_gaps([7]) == "frame 7"
    assert describe_gaps([2, 3], range(1, 5)) == "frames 1-4, missing 1, 4 (2 of 4)"


def test_a_shot_on_twos_has_no_gaps_but_two_frames_alone_have() -> None:
    assert describe_gaps([1, 3, 5, 9]) == "frames 1-9x2, missing 7 (1 of 5)"
    assert describe_gaps([1, 3]) == "frames 1-3, missing 2 (1 of 3)"
    assert [usual_step(numbers) for numbers in ([1], [1, 5], [1, 4, 10], [-2, 0, 2, 3])] == [1, 1, 3, 1]
