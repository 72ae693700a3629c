"""A series of faults is followed to its end: what goes on by itself, and what the next run has to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proofs.reliability import series as module
from proofs.reliability.faults import Kill
from proofs.reliability.series import measure
from proofs.reliability.trial import FINAL, STAGES, Work

STAGE_S = 30.0
FACTS = {"command": "", "machine": ""}


@dataclass
class Pipeline:
    """A trial without processes: a run works for 30 s in each stage that is not done, and then publishes."""

    folder: Path
    resumes: bool = True
    now_s: float = 0.0
    published_runs: int = 0
    known: list[dict[str, Any]] = field(default_factory=list)
    done: set[str] = field(default_factory=set)
    in_stage_s: float = 0.0
    dead: bool = False

    def __post_init__(self) -> None:
        self.film = SimpleNamespace(root=self.folder / "film")
        self.server = SimpleNamespace(is_up=lambda: True, flow_runs=lambda _: [])
        (self.film.root / "plates" / "my_shot").mkdir(parents=True)

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        if stage := self.stage():
            self.in_stage_s += seconds
            if self.in_stage_s >= STAGE_S:
                self.done.add(stage)
                self.in_stage_s = 0.0
                if stage == STAGES[-1]:
                    self.end("COMPLETED")
                    self.published_runs += 1

    def stage(self) -> str | None:
        left = [stage for stage in STAGES if stage not in self.done]
        running = self.known and self.known[-1]["state_type"] == "RUNNING" and not self.dead
        return left[0] if running and left else None

    def end(self, state: str) -> None:
        self.known[-1] |= {"state_type": state, "state_name": state.title(), "state": {"message": "exit code 1"}}

    def new_work(self) -> Work:
        return Work("c0ffee", frozenset(), 0)

    def start_run(self) -> None:
        self.known.append({"state_type": "RUNNING", "state_name": "Running", "state": {"message": None}})

    def start(self, role: str) -> None:
        if role == "worker" and self.dead and self.resumes:
            self.end("CRASHED")
            self.start_run()
        self.dead = False

    def kill(self, *roles: str) -> set[int]:
        self.in_stage_s = 0.0
        if roles:
            self.end("FAILED")
        self.dead = not roles
        return {1}

    def pids(self, *roles: str) -> set[int]:
        if not roles or roles == ("worker",):
            return {7}
        return {100 + len(self.known)} if self.stage() in roles else set()

    def works(self, stage: str, _: Work) -> bool:
        return self.stage() == stage and self.in_stage_s > 10.0

    def new_files(self, *_: Any) -> dict[Path, int]:
        return {}

    def finished_frames(self, _: Work) -> dict[Path, int]:
        return {}

    def checkpoint(self, _: Work) -> None:
        return None

    def runs(self, _: Work) -> list[dict[str, Any]]:
        return self.known

    def settled(self, _: Work) -> list[dict[str, Any]] | None:
        return self.known if all(run["state_type"] in FINAL for run in self.known) else None

    def published(self, _: str) -> int:
        return self.published_runs

    def lineage(self) -> dict[str, Any]:
        return {"models": {"d1": {"mlflow_run": "m1"}}, "flow_runs": ["f1"], "commits": ["c0ffee"]}

    def frames(self) -> int:
        return 0


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    made = Pipeline(tmp_path)
    clock = SimpleNamespace(monotonic=lambda: made.now_s, sleep=made.sleep, strftime=lambda _: "", time=lambda: 0.0)
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr("proofs.reliability.faults.time", clock)
    return made


def test_a_power_cut_is_resumed_without_a_next_run(pipeline: Pipeline) -> None:
    series = measure(pipeline, "kill/all", [Kill("prepare"), Kill("train")], **FACTS)  # type: ignore[arg-type]
    assert series.states == ("Crashed", "Crashed", "Completed")
    assert (series.next_runs, series.missed, series.doubled, series.ok) == (0, 0, 0, True)
    assert [strike.recovery_s for strike in series.strikes] == [0.0, 0.0], "in this pipeline at once"
    assert series.published_s == pytest.approx(3 * STAGE_S, abs=5.0), "train, evaluate and stylize"


def test_after_a_failed_stage_the_next_run_is_needed(pipeline: Pipeline) -> None:
    faults = [Kill(stage, "stage") for stage in ("train", "stylize")]
    series = measure(pipeline, "kill/stage", faults, **FACTS)  # type: ignore[arg-type]
    assert series.states == ("Failed", "Failed", "Completed")
    assert (series.next_runs, series.missed, series.ok) == (2, 0, True)
    assert [strike.recovery_s for strike in series.strikes] == [None, None]
    assert series.said == ("exit code 1",)


def test_work_that_nobody_goes_on_with_is_missed(pipeline: Pipeline) -> None:
    pipeline.resumes = False
    pipeline.start = lambda role: None  # type: ignore[method-assign]
    series = measure(pipeline, "kill/all", [Kill("train")], **FACTS)  # type: ignore[arg-type]
    assert (series.states, series.missed, series.ok) == (("Running",), 1, False)
    assert series.note.startswith("ended early: train did not go on")


def test_results_that_are_published_twice_are_doubled(pipeline: Pipeline) -> None:
    pipeline.published_runs = 1
    series = measure(pipeline, "kill/all", [Kill("evaluate")], **FACTS)  # type: ignore[arg-type]
    assert (series.doubled, series.ok) == (1, False)
