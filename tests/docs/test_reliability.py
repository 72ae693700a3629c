"""docs/reliability.md agrees with docs/reliability.json, and the figures of a soak are computed as it says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from proofs.reliability.document import RESULTS, add_series, fill, read_results
from proofs.reliability.figures import Results, Series, Strike, growth, missed_times

FACTS = {"command": "python -m proofs.reliability", "machine": "2 CPU cores", "date": "2026-12-01"}
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
DOCUMENT = "before\n<!-- reliability {} -->\nold\n<!-- /reliability -->\nafter\n"


def at(*minutes: int) -> list[datetime]:
    return [NOON + timedelta(minutes=each) for each in minutes]


def test_the_document_agrees_with_the_figures() -> None:
    text = RESULTS.with_suffix(".md").read_text(encoding="utf-8")
    assert text.count("<!-- reliability ") == text.count("<!-- /reliability -->") == 4
    assert fill(text, read_results(RESULTS)) == text, "run `python -m proofs.reliability --render`"


def test_a_fault_and_its_results_are_shown() -> None:
    strike = Strike(stage="stylize", frames_before=3, frames_lost=1, model_lost=False, recovery_s=12.4)
    series = Series(name="kill/all", strikes=(strike,), states=("Crashed", "Completed"), lineage=True, **FACTS)
    results = Results(series=(series,))
    assert "| `kill/all` | stylize |  | 1 of 3 | kept | 12 |" in fill(DOCUMENT.format("faults"), results)
    assert "| `kill/all` | Crashed, Completed | kept |  | 0 | 0 | 0 |" in fill(DOCUMENT.format("results"), results)
    notes = fill(DOCUMENT.format("notes"), results)
    assert "doubled or lost): `kill/all`." in notes, "it is not ok"
    assert notes.startswith("before\n")
    assert notes.endswith("after\n")
    assert "old" not in notes


def test_a_series_replaces_the_one_of_its_name_and_keeps_the_order(tmp_path) -> None:
    path = tmp_path / "reliability.json"
    for name, missed in (("b", 0), ("a", 0), ("b", 1)):
        add_series(path, Series(name=name, missed=missed, **FACTS), ["a", "b"])
    assert [(series.name, series.missed) for series in read_results(path).series] == [("a", 0), ("b", 1)]


def test_a_time_of_the_schedule_without_a_run_is_missed_outside_of_outages() -> None:
    assert missed_times(at(0, 5, 10), 5, []) == []
    assert missed_times(at(0, 10), 5, []) == at(5)
    assert missed_times(at(0, 10), 5, [(NOON + timedelta(minutes=4), NOON + timedelta(minutes=6))]) == []
    assert missed_times([], 5, []) == []


def test_growth_is_that_of_one_process() -> None:
    steady = [90.0, *[100.0] * 6]
    assert growth(steady, []) == pytest.approx(1.0)
    assert growth([*steady, *[300.0] * 7], [7]) == pytest.approx(1.0), "the new process is larger, and does not grow"
    assert growth([50.0, 100.0, 100.0, 110.0, 120.0, 130.0, 130.0], []) == pytest.approx(1.3)
    assert growth(steady[:-1], []) is None
