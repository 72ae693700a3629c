"""The local runner: plain functions on threads, in order, ended by the first failure."""

from __future__ import annotations

import threading

import pytest

from flows.runners.local_runner import LocalRunner, default_workers


def test_run_hands_over_arguments() -> None:
    assert LocalRunner().run("add", lambda a, b: a + b, 2, b=3) == 5


def test_map_keeps_the_order_and_uses_threads() -> None:
    both_at_once = threading.Barrier(2, timeout=30)

    def square(number: int) -> int:
        both_at_once.wait()  # passes only if two items are worked on at a time
        return number * number

    assert LocalRunner(workers=2).map("square", square, range(6)) == [0, 1, 4, 9, 16, 25]


def test_map_of_nothing_is_nothing() -> None:
    assert LocalRunner().map("none", str, []) == []


def test_map_raises_the_first_failure_and_starts_no_more() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        raise ValueError(f"number {number}")

    with pytest.raises(ValueError, match="number"):
        LocalRunner(workers=1).map("work", work, range(1000))
    assert begun == [0]


def test_workers_are_a_few() -> None:
    assert 1 <= default_workers() <= 8
