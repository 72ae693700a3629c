"""The figures of a soak, from what the server and the remote say."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proofs.reliability.document import read_results
from proofs.reliability.figures import Soak
from proofs.soak import Soaking


def run(minute: int, state: str, *tags: str) -> dict[str, Any]:
    """A run of the schedule, or one that was started again if it has a tag."""
    time = f"2026-12-01T12:{minute:02d}:00Z"
    return {
        "start_time": time,
        "expected_start_time": time,
        "auto_scheduled": not tags,
        "tags": list(tags),
        "state_type": state,
        "state_name": state.title(),
    }


def figures(tmp_path: Path, runs: list[dict[str, Any]], sources: list[str]) -> Soak:
    """Of a soak of two commits that has ended."""
    chosen = argparse.Namespace(
        runs=2, cuts=0, every_min=5, steps=60, seed=0, machine="2 CPU cores", results=tmp_path / "reliability.json"
    )
    trial = SimpleNamespace(runs=lambda: runs, sources=lambda: sources)
    soaking = Soaking(trial, chosen)  # type: ignore[arg-type]
    soaking.log.commits += ["c1", "c2"]
    soak = soaking._publish(over=True)
    assert read_results(chosen.results).soak == soak
    return soak


def test_a_crash_that_was_started_again_is_no_fault(tmp_path: Path) -> None:
    runs = [run(0, "COMPLETED"), run(5, "CRASHED"), run(6, "COMPLETED", "started-again-1")]
    soak = figures(tmp_path, runs, ["c2", "c1"])
    assert (soak.ok, soak.note) == (True, "")
    assert (soak.runs, soak.commits, soak.covered, soak.own_result) == (2, 2, 2, 2)
    assert soak.states == {"Completed": 2, "Crashed": 1}


@pytest.mark.parametrize(
    ("runs", "sources", "note"),
    [
        ([run(0, "COMPLETED"), run(10, "COMPLETED")], ["c2", "c1"], "1 times of the schedule have no run"),
        ([run(0, "COMPLETED"), run(5, "COMPLETED")], ["c2", "c2", "c1"], "1 results or runs are doubled"),
        ([run(0, "COMPLETED"), run(5, "COMPLETED")], ["c1"], "a commit is in no result"),
        ([run(0, "COMPLETED"), run(5, "FAILED")], ["c2", "c1"], "runs ended otherwise: {'Failed': 1}"),
        ([run(0, "COMPLETED"), run(5, "CRASHED")], ["c2", "c1"], "1 runs crashed and 0 were started again"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, runs: list[dict[str, Any]], sources: list[str], note: str) -> None:
    soak = figures(tmp_path, runs, sources)
    assert (soak.ok, soak.note) == (False, note)


def test_a_later_result_covers_an_earlier_commit(tmp_path: Path) -> None:
    soak = figures(tmp_path, [run(0, "COMPLETED"), run(5, "COMPLETED")], ["c2"])
    assert (soak.ok, soak.covered, soak.own_result) == (True, 2, 1)
