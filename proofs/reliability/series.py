"""A series of docs/reliability.md: new work, and one fault after the other in its runs, until its results are there."""

from __future__ import annotations

import time
import urllib.error
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proofs.reliability.faults import Fault, restart_services
from proofs.reliability.figures import Series, Strike
from proofs.reliability.trial import FINAL, STAGES, Trial, TrialError, Work
from tasks.shared.promoted_copy import copy_folder, promoted_trainings

_QUIET_S = 45.0
"""A run that is started again appears within this time after the end of the last one, or not at all."""
_MOST_RUNS = 7
_LIMIT_S = 2400.0
_POLL_S = 1.0


class Course:
    """The runs of one commit, while it is disturbed."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.work: Work = trial.new_work()
        self.next_runs = 0
        self._quiet_since_s: float | None = None
        self._repaired_s = time.monotonic()
        self._looked_s: float | None = None  # when the results were seen, if that was before ``finish``

    def struck(self, fault: Fault) -> Strike:
        """Waits for the middle of the stage, disturbs it, and waits until it works again."""
        trial, work = self.trial, self.work
        if fault.begin:
            fault.strike(trial, work)
            self._start_run()
            self._until("end of the run", lambda: trial.settled(work))
        else:
            # Frames of so small a shot are made within a second.
            pause_s = 0.05 if fault.stage == "stylize" else _POLL_S
            self._until(f"work of {fault.stage}", lambda: trial.works(fault.stage, work), pause_s=pause_s)
            fault.strike(trial, work)
        damage = _damage(trial, fault.stage, work)
        frames = trial.finished_frames(work)
        survivors = trial.pids(*STAGES)
        fault.repair(trial, work)
        self._repaired_s, self._looked_s = time.monotonic(), None
        recovery_s = None if fault.begin else self._recovery_s(fault.stage, survivors)
        if fault.stage == "stylize":
            self._until("end of the runs", lambda: self._is_quiet() or trial.published(work.commit))
            self._looked_s = time.monotonic()
            after = trial.new_files("stylize", work)
            lost = sum(after.get(path) != at for path, at in frames.items())
            damage |= {"frames_before": len(frames), "frames_lost": lost}
        return Strike(stage=fault.stage, recovery_s=recovery_s, **damage)

    def finish(self) -> dict[str, Any]:
        """Waits for the results; values of a ``Series``."""
        trial, work = self.trial, self.work
        if self._looked_s is None or not trial.published(work.commit):
            self._until("results", lambda: trial.published(work.commit))
            self._looked_s = time.monotonic()
        published_s = self._looked_s - self._repaired_s
        self._until("end of the runs", self._is_quiet)
        runs = trial.runs(work)
        published, trail = trial.published(work.commit), trial.lineage()
        (model,) = trail["models"].values() or [{}]
        completed = sum(run["state_type"] == "COMPLETED" for run in runs)
        return {
            "lineage": bool(model.get("mlflow_run") and trail["flow_runs"] and work.commit in trail["commits"]),
            "published_s": round(published_s, 1),
            "doubled": max(0, published - 1) + max(0, completed - 1),
        }

    def ended(self) -> dict[str, Any]:
        """What is known of the runs, however they ended."""
        try:
            runs = self.trial.runs(self.work)
        except (urllib.error.URLError, OSError):
            runs = []
        said = [
            " ".join((run["state"]["message"] or "").split())[:300] for run in runs if run["state_type"] == "FAILED"
        ]
        return {
            "states": tuple(run["state_name"] for run in runs),
            "next_runs": self.next_runs,
            "missed": int(not self.trial.published(self.work.commit)),
            "said": tuple(dict.fromkeys(said)),
        }

    def _start_run(self) -> None:
        if self.trial.runs(self.work):
            self.next_runs += 1
        self.trial.start_run()

    def _recovery_s(self, stage: str, survivors: set[int]) -> float | None:
        begun_s, later = time.monotonic(), STAGES[STAGES.index(stage) if stage in STAGES else 0 :]
        while not (present := self.trial.pids(*later)):
            if self._is_quiet():
                return None
            if time.monotonic() - begun_s > _LIMIT_S:
                raise TrialError(f"{stage} did not go on, and its run did not end, within {_LIMIT_S:.0f} s")
            time.sleep(_POLL_S)
        return 0.0 if present & survivors else round(time.monotonic() - begun_s, 1)

    def _is_quiet(self) -> bool:
        """Whether all runs have ended for some time: nothing is started again."""
        if not self.trial.settled(self.work):
            self._quiet_since_s = None
            return False
        self._quiet_since_s = self._quiet_since_s or time.monotonic()
        return time.monotonic() - self._quiet_since_s >= _QUIET_S

    def _until(self, what: str, found: Any, pause_s: float = _POLL_S) -> None:
        """Waits; starts the next run where the last one has ended without the results."""
        end_s, looked_s = time.monotonic() + _LIMIT_S, time.monotonic()
        while not found():
            if time.monotonic() > end_s:
                raise TrialError(f"no {what} within {_LIMIT_S:.0f} s")
            if time.monotonic() - looked_s > 5.0:
                looked_s = time.monotonic()
                if self._is_quiet() and not self.trial.published(self.work.commit):
                    if self.next_runs == _MOST_RUNS:
                        raise TrialError(f"no {what} after {_MOST_RUNS} further runs")
                    self._quiet_since_s = None
                    self._start_run()
            time.sleep(pause_s)


def measure(trial: Trial, name: str, faults: Sequence[Fault], **facts: str) -> Series:
    """Measures a series; one that cannot go on says why. The services are up afterwards, and no run is at work."""
    facts |= {"date": datetime.now(UTC).strftime("%Y-%m-%d")}
    strikes: list[Strike] = []
    values: dict[str, Any] = {}
    course = None
    try:
        for fault in faults:
            fault.before(trial)
        course = Course(trial)
        if not faults[0].begin:
            course.trial.start_run()
        for fault in faults:
            strikes.append(course.struck(fault))
            print(f"{time.strftime('%H:%M:%S')} {name} {strikes[-1].model_dump_json(exclude_none=True)}", flush=True)
        values = course.finish()
        values["ok"] = _is_ok(trial, values, strikes)
    except (TrialError, OSError, ValueError, KeyError, pytest.fail.Exception) as error:
        values = {"note": f"ended early: {error}"}
    ended = course.ended() if course else {}
    for fault in faults:
        fault.after(trial)
    restore(trial)
    return Series(name=name, strikes=tuple(strikes), **{**ended, **values}, **facts)  # type: ignore[arg-type]


def _is_ok(trial: Trial, values: dict[str, Any], strikes: Sequence[Strike]) -> bool:
    whole = trial.frames() == len(list((trial.film.root / "plates" / "my_shot").iterdir()))
    lost = any(strike.model_lost or strike.frames_lost for strike in strikes)
    return bool(whole and values["lineage"] and not values["doubled"] and not lost)


def _damage(trial: Trial, stage: str, work: Work) -> dict[str, Any]:
    """What is lost right after the fault, before anything is repaired."""
    values: dict[str, Any] = {"model_lost": _is_a_model_lost(trial.film.root)}
    if stage == "train" and (newest := trial.checkpoint(work)) is not None and not trial.pids("train"):
        age_s = time.time() - newest.stat().st_mtime
        others = [path for path in newest.parent.glob("checkpoint-*.safetensors") if path != newest]
        seconds = {path: max(0.1, newest.stat().st_mtime - path.stat().st_mtime) for path in others}
        rates = [(_step(newest) - _step(path)) / took_s for path, took_s in seconds.items()]
        values["steps_lost"] = round(age_s * max(rates)) if rates else None
    return values


def _is_a_model_lost(root: Path) -> bool | None:
    """Whether a promoted model cannot be loaded; None if none was promoted yet."""
    from stylegan_core.recipes.model import load_model  # imports torch

    promoted = promoted_trainings(root)
    try:
        for training, model in promoted.items():
            load_model(copy_folder(root, training, model.digest))
    except Exception:
        return True
    return False if promoted else None


def _step(checkpoint: Path) -> int:
    return int(checkpoint.stem.rpartition("-")[2])


def restore(trial: Trial) -> None:
    """Ends what a fault has left over, so that the next series begins with idle services."""
    (trial.folder / "filler").unlink(missing_ok=True)
    if trial.pids(*STAGES):
        trial.kill()
    if not trial.server.is_up():
        restart_services(trial, "server")
    if not trial.pids("worker"):
        trial.start("worker")
    unfinished = {"flow_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING", "SCHEDULED"]}}}}
    for run in trial.server.flow_runs(unfinished):
        if run["state_type"] not in FINAL:
            body = {"state": {"type": "CANCELLED", "message": "the series has ended"}, "force": True}
            trial.server.post(f"/flow_runs/{run['id']}/set_state", body)
