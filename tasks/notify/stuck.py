"""Stuck runs: alive, much longer than usual, and without a new checkpoint, frame or report."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from stylegan_core.storage.cache import cache_folder
from tasks.notify.problems import Problem
from tasks.notify.runs import RunNote, read_notes
from tasks.scheduled.run_checkout import results_folder

_HOUR_S = 3600.0
_PAST_RUNS = 10
_LONGER_THAN = 2.0
"""Times the longest of the last completed runs."""
_QUIET_S = 1.0 * _HOUR_S
_QUIET_WITHOUT_PAST_S = 6.0 * _HOUR_S
"""Without completed runs to compare with: a long evaluation writes nothing for a while."""


def stuck_runs(root: Path, now_s: float) -> Iterator[Problem]:
    """Pipelines that are alive and do nothing; other work writes to folders that nobody here knows.

    A run is stuck if it has run for more than an hour and for more than twice the longest of the last ten completed
    runs of its flow, and nothing was written for an hour (six hours, if no run has completed yet).

    Args:
        root: the project.
        now_s: seconds since 1970.

    Yields:
        One problem a run.
    """
    for note in read_notes(root, lambda note: note.work == "pipeline" and note.is_alive()):
        past_s = _past_durations_s(root, note.work)
        age_s, quiet_limit_s = now_s - note.begun_s, _QUIET_S if past_s else _QUIET_WITHOUT_PAST_S
        if age_s <= max(_HOUR_S, quiet_limit_s, _LONGER_THAN * max(past_s, default=0.0)):
            continue
        quiet_s = min(age_s, now_s - newest_result_s(results_folder(root)))
        if quiet_s > quiet_limit_s:
            yield _problem(note, age_s, quiet_s, past_s)


def newest_result_s(root: Path) -> float:
    """When the newest checkpoint, decoded picture, frame, model or report was written, seconds since 1970; 0: never.

    The cache may serve other projects too: their progress then counts as this one's, and a stuck run is found later.
    """
    folders = [root / name for name in ("data", "models", "reports", "out")]
    folders += [cache_folder() / name for name in ("train", "prepare", "stylize")]
    newest = 0.0
    for place, _, names in itertools.chain.from_iterable(os.walk(folder) for folder in folders):
        for name in names:
            try:
                newest = max(newest, Path(place, name).stat().st_mtime)
            except OSError:  # renamed meanwhile
                continue
    return newest


def _past_durations_s(root: Path, work: str) -> list[float]:
    completed = read_notes(root, lambda note: note.work == work and note.outcome == "completed")
    return [note.ended_s - note.begun_s for note in completed if note.ended_s is not None][-_PAST_RUNS:]


def _problem(note: RunNote, age_s: float, quiet_s: float, past_s: list[float]) -> Problem:
    longest = f" (the longest of the last {len(past_s)} took {max(past_s) / _HOUR_S:.1f} h)" if past_s else ""
    return Problem(
        work=note.work,
        kind="stuck",
        reason=f"it has run for {age_s / _HOUR_S:.1f} h{longest}, and for {quiet_s / _HOUR_S:.1f} h no checkpoint, "
        "frame or report was written",
        advice=f"look at the run's log and at process {note.pid} of {note.host}; if it does nothing, cancel the run "
        "and start it again: it continues from its checkpoint",
        url=note.url,
    )
