"""Time limits: the one that ends first holds, and none outlives its context."""

from __future__ import annotations

import pytest

from tasks.shared.child_processes.time_limit import (
    HOUR_S,
    TimeLimit,
    check_time,
    nearest_limit,
    patience_s,
    time_limit,
)
from tasks.shared.errors import TimeLimitError


def test_without_a_limit_nothing_ends() -> None:
    check_time()
    assert nearest_limit() is None
    assert patience_s(3600.0) == 3600.0
    with time_limit(None):
        assert nearest_limit() is None


@pytest.mark.parametrize(("outer", "inner"), [(1.0, 2.0), (2.0, 1.0)])
def test_the_limit_that_ends_first_holds_and_ends_with_its_context(outer: float, inner: float) -> None:
    with time_limit(TimeLimit.start("pipeline", "limits.run_hours", outer)):
        with time_limit(TimeLimit.start("train", "limits.train_hours", inner)):
            found = nearest_limit()
            assert found is not None
            assert found.hours == 1.0
            assert HOUR_S - 5 < patience_s(1e9) <= HOUR_S
        found = nearest_limit()
        assert found is not None
        assert found.what == "pipeline"
    assert nearest_limit() is None


def test_a_limit_that_has_passed_names_its_setting() -> None:
    with (
        time_limit(TimeLimit.start("train", "limits.train_hours", 0.0)),
        pytest.raises(TimeLimitError, match=r"^train: stopped by its time limit of 0 h.*raise limits\.train_hours in"),
    ):
        check_time()
