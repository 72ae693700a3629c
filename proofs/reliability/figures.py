"""Figures of docs/reliability.json: what faults cost, and a soak."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

FLAT_RATIO = 1.1
"""Memory is flat if the median of the last third of a process's samples is at most this times that of the first."""
FEWEST_SAMPLES = 6
"""Of one process, to judge its memory; the first one is left out."""


class Strike(BaseModel):
    """What one fault cost.

    Attributes:
        stage: in which it happened.
        steps_lost: of training since the last checkpoint, by its age and the rate; None outside of the training.
        frames_before: that were finished and recorded when the fault came; None outside of stylize.
        frames_lost: of these, made again.
        model_lost: whether the promoted model could not be loaded right after the fault, before any repair; None if
            none was promoted yet.
        recovery_s: from the end of the fault (services started, disk freed) until the stage worked again, in a run
            that nobody had to start; 0 if it never stopped; None if nothing went on by itself.
    """

    model_config = ConfigDict(frozen=True)

    stage: str
    steps_lost: int | None = None
    frames_before: int | None = None
    frames_lost: int | None = None
    model_lost: bool | None = None
    recovery_s: float | None = None


class Series(BaseModel):
    """Faults in the runs of one commit, and what became of its work.

    Attributes:
        name: of the fault.
        ok: whether the results are published once, complete and with their lineage, and nothing was lost but steps
            since a checkpoint.
        strikes: the faults in order; fewer than asked for if the series could not go on.
        states: of the pipeline's runs, in order.
        lineage: whether the model's MLflow run, flow run and commit are found afterwards.
        published_s: from the end of the last fault until the results were on runs/nightly.
        next_runs: runs that had to be started after one that failed, as the schedule does in the next night.
        missed: commits without results at the end.
        doubled: results of the commit, or completed runs, beyond the first.
        said: messages of runs that failed.
        note: why the series could not go on.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    ok: bool = False
    strikes: tuple[Strike, ...] = ()
    states: tuple[str, ...] = ()
    lineage: bool | None = None
    published_s: float | None = None
    next_runs: int = 0
    missed: int = 0
    doubled: int = 0
    said: tuple[str, ...] = ()
    note: str = ""
    command: str
    machine: str
    date: str


class Soak(BaseModel):
    """Figures of a soak; see ``proofs.soak``.

    Attributes:
        runs: that the schedule has fired and that have ended.
        states: how many ended in which state.
        cuts: power cuts.
        hours: from the start to the last run.
        every_min: minutes between two times of the schedule.
        commits: pushed to the remote.
        covered: commits whose work is in a result: their own, or that of a later commit.
        own_result: of these, those with a result of their own.
        missed: times of the schedule outside of outages without a run.
        doubled: results of a commit beyond the first.
        server_mib: resident memory of the server after each run.
        worker_mib: likewise of the worker.
        database_mib: size of the server's database after each run.
        restarts: indices of the first run after each power cut, which starts new processes.
        growth: the largest of server and worker, see ``proofs.soak.growth``; None if the soak is too short to tell.
        ok: whether all that the soak asserts holds.
        note: what does not.
    """

    model_config = ConfigDict(frozen=True)

    runs: int
    states: dict[str, int]
    cuts: int
    hours: float
    every_min: int
    commits: int
    covered: int
    own_result: int
    missed: int
    doubled: int
    server_mib: tuple[float, ...]
    worker_mib: tuple[float, ...]
    database_mib: tuple[float, ...]
    restarts: tuple[int, ...]
    growth: float | None
    ok: bool
    note: str
    command: str
    machine: str
    date: str


class Results(BaseModel):
    """Content of docs/reliability.json."""

    model_config = ConfigDict(frozen=True)

    series: tuple[Series, ...] = ()
    soak: Soak | None = None


def missed_times(
    fired: Sequence[datetime], every_min: int, outages: Sequence[tuple[datetime, datetime]]
) -> list[datetime]:
    """Times of a schedule from the first to the last run, outside of outages, at which no run was due."""
    if not fired:
        return []
    there, time_, missed = set(fired), min(fired), []
    while time_ < max(fired):
        outside = not any(begin <= time_ <= end for begin, end in outages)
        if time_ not in there and time_.minute % every_min == 0 and outside:
            missed.append(time_)
        time_ += timedelta(minutes=1)
    return missed


def growth(samples: Sequence[float], restarts: Sequence[int]) -> float | None:
    """The largest growth of a process's memory: the median of the last third of its samples over that of the first.

    Args:
        samples: after each run.
        restarts: indices of the first sample of each new process.

    Returns:
        None if no process has enough samples; the first sample of each, when it is still loading code, is left out.
    """
    edges = [0, *restarts, len(samples)]
    lives = [samples[begin + 1 : end] for begin, end in itertools.pairwise(edges)]
    thirds = [(life, len(life) // 3) for life in lives if len(life) >= FEWEST_SAMPLES]
    return max((statistics.median(life[-n:]) / statistics.median(life[:n]) for life, n in thirds), default=None)
