"""A problem is reported once, when it has lasted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.inbox.problems import Problem, read_problems, update_problems, write_problems


def test_a_problem_is_reported_when_it_has_lasted() -> None:
    first = update_problems({}, {"x": "is bad"}, 0.0, 60.0)
    assert first == {"x": Problem(reason="is bad", since_s=0.0)}
    assert not update_problems(first, {"x": "is bad"}, 59.0, 60.0)["x"].reported
    last = update_problems(first, {"x": "is bad"}, 60.0, 60.0)
    assert last["x"].reported
    assert update_problems(last, {"x": "is bad"}, 1000.0, 60.0) == last


def test_another_reason_is_another_problem() -> None:
    known = {"x": Problem(reason="is bad", since_s=0.0, reported=True)}
    assert update_problems(known, {"x": "is worse"}, 100.0, 60.0) == {"x": Problem(reason="is worse", since_s=100.0)}
    assert update_problems(known, {}, 100.0, 60.0) == {}


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"x": 1}'])
def test_problems_are_read_back_and_a_damaged_file_counts_as_none(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "problems.json"
    problems = {"oil/ü": Problem(reason="is bad", since_s=1.5, reported=True)}
    write_problems(path, problems)
    assert read_problems(path) == problems
    path.write_bytes(damage)
    assert read_problems(path) == {}
