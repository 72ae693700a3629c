"""When a shot is due: it has stopped growing, and its files were not processed yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.inbox.fingerprint import Fingerprint
from tasks.inbox.shot_state import Outcome, ShotState, ShotStates, is_due, seen

A, B = Fingerprint("a", "a", 1), Fingerprint("b", "b", 2)
EMPTY = Fingerprint("", "none", 0)
SETTLE_S = 60.0


def due(state: ShotState, now: Fingerprint, time_s: float, *, retry: bool = False) -> bool:
    return is_due(state, now, time_s, SETTLE_S, retry=retry)


def ended(result: str, files: str = "a") -> ShotState:
    outcome = Outcome(files=files, result=result, ended_s=50.0)  # type: ignore[arg-type]
    return ShotState(shot="m/s", everything="a", since_s=0.0, outcome=outcome)


def test_two_looks_that_are_far_enough_apart_must_see_the_same() -> None:
    state = seen(None, "m/s", A, 100.0)
    assert not due(state, A, 100.0)
    state = seen(state, "m/s", A, 159.0)
    assert not due(state, A, 159.0)
    assert due(seen(state, "m/s", A, 160.0), A, 160.0)
    grown = seen(state, "m/s", B, 160.0)
    assert not due(grown, B, 219.0)
    assert due(grown, B, 220.0)


def test_a_hidden_file_that_grows_keeps_a_shot_waiting() -> None:
    state = seen(None, "m/s", A, 0.0)
    state = seen(state, "m/s", Fingerprint("a", "a and hidden", 1), 59.0)
    assert not due(state, A, 60.0)


def test_a_clock_that_was_set_back_starts_the_wait_again() -> None:
    state = seen(seen(None, "m/s", A, 1000.0), "m/s", A, 10.0)
    assert state.since_s == 10.0
    assert not due(state, A, 60.0)


def test_an_empty_folder_is_never_due() -> None:
    assert not due(seen(None, "m/s", EMPTY, 0.0), EMPTY, 1000.0)


def test_what_ended_is_not_due_until_it_changes() -> None:
    assert not due(ended("finished"), A, 1000.0)
    assert not due(ended("finished"), A, 1000.0, retry=True)
    assert not due(ended("failed"), A, 1000.0)
    assert due(ended("failed"), A, 1000.0, retry=True)
    for result in ("finished", "failed"):
        assert due(ended(result, files="of before"), A, 1000.0)


def test_new_files_forget_how_often_the_old_ones_were_begun() -> None:
    state = ShotState(shot="m/s", everything="a", since_s=0.0, begun=4)
    assert seen(state, "m/s", A, 5.0).begun == 4
    assert seen(state, "m/s", B, 5.0).begun == 0


@pytest.mark.parametrize("damage", [b"", b"{", b"{}", b"\xff\xfe", b"[]"])
def test_states_are_read_back_and_a_damaged_file_counts_as_none(tmp_path: Path, damage: bytes) -> None:
    states = ShotStates(tmp_path / "shots")
    assert states.read("m/s") is None
    states.write(ended("failed"))
    assert states.read("m/s") == ended("failed")
    assert states.read("m/other") is None
    next((tmp_path / "shots").iterdir()).write_bytes(damage)
    assert states.read("m/s") is None


def test_a_name_as_long_as_file_systems_allow(tmp_path: Path) -> None:
    states = ShotStates(tmp_path)
    state = ended("finished").model_copy(update={"shot": "m/" + "s" * 250})
    states.write(state)
    assert states.read(state.shot) == state
