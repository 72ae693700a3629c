"""The pipeline: the stages in order, with the promotion gate between evaluate and stylize."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from flows.retention import apply_retention
from flows.runners.limited_runner import LimitedRunner, read_limits
from flows.stage import explained_by_stage
from stylegan_core.storage.state_folder import STATE_FOLDER
from tasks.project.inputs import refuse_missing_inputs
from tasks.project.sync import CODE_FOLDER, sync
from tasks.promotion.decision import now
from tasks.promotion.gate import run_gate
from tasks.promotion.promote import promote_candidates
from tasks.scheduled.run_checkout import open_run_checkout
from tasks.scheduled.runs_branch import commit_results, publish_results
from tasks.shared.child_processes.time_limit import check_time, patience_s
from tasks.shared.errors import StoppedError
from tasks.shared.lineage import PipelineLink, link_run
from tasks.shared.origin import FLOW_RUN_VARIABLE, TASK_RUN_VARIABLE, flow_run_id, origin, task_run_id
from tasks.shared.runner import Runner, Skipped
from tasks.shared.versioning import STAGES, VersioningError, head_commit, lock_digest, push, reproduce
from tasks.stages.run_summary import summarize_run

log = logging.getLogger(__name__)

RESULTS = ("dvc.lock", "dvc.yaml", CODE_FOLDER)
"""Files that a scheduled run commits to its branch; DVC holds the pictures, models and figures of dvc.lock.

dvc.yaml and the code digests are included, since ``sync`` may have rewritten them and dvc.lock refers to them.
"""
SUMMARY = "summary"
"""Key of the artifact in Prefect."""


@dataclass(frozen=True)
class ChainSettings:
    """Settings of the pipeline.

    Attributes:
        scheduled: fetch, run in a checkout of its own, and commit the results to ``branch``.
        max_swd_ratio: of the promotion gate; None: ``promote.max_swd_ratio`` of params.yaml.
        push: copy data and models to the DVC remote, and the branch to where the project was cloned from; scheduled
            runs take from the remote what another machine has computed from the same inputs.
        branch: for the results of scheduled runs.
        ref: branch, tag or commit that scheduled runs take; empty: the branch that the project has checked out.
        lock_wait_s: how long to wait for another pipeline or dvc in this checkout.
    """

    scheduled: bool = False
    max_swd_ratio: float | None = None
    push: bool = True
    branch: str = "runs/nightly"
    ref: str = ""
    lock_wait_s: float = 3600.0


def chain(runner: Runner, root: Path, settings: ChainSettings) -> PipelineLink:
    """Runs the stages in order; a failed stage ends the pipeline.

    Args:
        runner: calls the steps.
        root: the project; a scheduled run works in a checkout beside it.
        settings: of the pipeline.

    Returns:
        The lineage of this run; with ``refused`` if a model was refused before and nothing has changed: the stage
        stylize did not run, and its frames are those of the promoted models.

    Raises:
        UsageError, StoppedError, InputsFailedError: a stage failed with this error.
        TimeLimitError: a step, or the run, has used up its time limit.
        VersioningError: git or dvc failed, pictures are missing, or HEAD moved during the run.
        GateError: a model is not good enough to be promoted.
        RegistryError: the model registry failed.
    """
    limits = read_limits(root)
    runner = LimitedRunner(runner, limits)
    with pipeline_lock(root, settings.lock_wait_s):
        if settings.scheduled:
            wait_s = settings.lock_wait_s
            checkout = runner.run("fetch", open_run_checkout, root, settings.ref, settings.branch, lock_wait_s=wait_s)
            root = checkout.root
        link = _locked_chain(runner, root, settings)
        if settings.scheduled:
            _remove_old_runs(runner, root, limits.keep_days)
        return link


def _remove_old_runs(runner: Runner, root: Path, keep_days: float) -> None:
    """Never fails a run that has delivered: not by its time limit either, nor by a server that refuses the task."""
    try:
        runner.run("retention", apply_retention, root, keep_days, os.environ.get("PREFECT_API_URL"))
    except Exception as error:
        log.warning("old runs were not removed, the next scheduled run tries again: %s", error)


@contextmanager
def pipeline_lock(root: Path, wait_s: float) -> Iterator[None]:
    """The lock of a checkout: limits of work pools and deployments ignore calls by hand.

    Raises:
        StoppedError: another pipeline held it for longer than ``wait_s``; 0 does not wait.
        TimeLimitError: the time limit of the run has passed.
    """
    state = root / STATE_FOLDER
    state.mkdir(exist_ok=True)
    lock = FileLock(state / "pipeline.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if wait_s == 0:
            raise StoppedError(f"a pipeline is running in {root}: try later") from None
        log.info("another pipeline is running in %s: waiting for its end, for at most %.0f s", root, wait_s)
        try:
            lock.acquire(timeout=patience_s(wait_s))
        except Timeout:
            check_time()
            raise StoppedError(f"another pipeline has been running in {root} for {wait_s:.0f} s: try later") from None
    try:
        yield
    finally:
        lock.release()


def _locked_chain(runner: Runner, root: Path, settings: ChainSettings) -> PipelineLink:
    runner.run("sync", sync, root)
    if settings.scheduled:
        refuse_missing_inputs(root)
    run_id, begun = flow_run_id(), origin(root)
    environment = {FLOW_RUN_VARIABLE: run_id} if run_id else {}
    passed, stages = "", {}
    for stage in STAGES:
        if stage == "stylize":
            gate = runner.run("gate", run_gate, root, max_swd_ratio=settings.max_swd_ratio)
            passed = gate.summary()
            if not gate.passed:
                return _nothing_promoted(root, run_id, passed)
            runner.run("promote", promote_candidates, root, gate)
        refuse_another_commit(root, begun.get("git_commit"))
        skipped = runner.run(stage, _reproduce, root, stage, environment=environment, settings=settings)
        stages[stage] = f"skipped: {skipped}" if skipped else "ran"
    refuse_another_commit(root, begun.get("git_commit"))
    link = runner.run("lineage", link_run, root, run_id, begun, gate=passed)
    if settings.push:
        runner.run("push", push, root, lock_wait_s=settings.lock_wait_s)
    if settings.scheduled:
        commit = runner.run("publish", _publish, root, settings, _message(link))
        link = link.model_copy(update={"runs_commit": commit})
    _show_summary(runner, root, link, stages)
    return link


def _show_summary(runner: Runner, root: Path, link: PipelineLink, stages: dict[str, str]) -> None:
    try:
        runner.publish(SUMMARY, runner.run("summary", summarize_run, root, link, stages))
    except Exception as error:  # the results are delivered
        log.warning("no summary on the run's page: %s", error)


def _nothing_promoted(root: Path, run_id: str | None, summary: str) -> PipelineLink:
    """The end of a run whose models were refused by an earlier one: it delivers, links and pushes nothing."""
    log.warning("stylize is skipped, and its frames stay those of the promoted models: %s", summary)
    lock = lock_digest(root) or ""
    return PipelineLink(flow_run_id=run_id or "", dvc_lock=lock, models={}, gate=summary, time=now(), refused=True)


def _reproduce(root: Path, stage: str, *, environment: dict[str, str], settings: ChainSettings) -> Skipped | None:
    task = task_run_id()
    # The stage's own page has what Prefect says of its tasks; the pipeline's page needs only what the stage says.
    quiet = {TASK_RUN_VARIABLE: task, "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING"} if task else {}
    shared = settings.scheduled and settings.push  # by hand, `dvc pull` does it, and may be slow
    with explained_by_stage(root):
        ran = reproduce(
            root, stage, environment={**environment, **quiet}, lock_wait_s=settings.lock_wait_s, pull=shared
        )
    if ran:
        return None
    log.info("%s: skipped, nothing has changed that it depends on", stage)
    return Skipped("nothing has changed that it depends on")


def _publish(root: Path, settings: ChainSettings, message: str) -> str:
    if settings.push:
        return publish_results(root, settings.branch, RESULTS, message)
    return commit_results(root, settings.branch, RESULTS, message)


def _message(link: PipelineLink) -> str:
    """Of the commit of results; `whence` reads its last lines in clones that only pulled."""
    trailers = {"Flow-run": link.flow_run_id, "Source-commit": link.git_commit or ""}
    lines = [f"{name}: {value}" for name, value in trailers.items() if value]
    return "\n".join(["Results of a scheduled run", "", link.gate, "", *lines])


def refuse_another_commit(root: Path, begun: str | None) -> None:
    """Refuses to go on if HEAD has moved since the run began: its results would belong to neither commit.

    Raises:
        VersioningError: it has moved.
    """
    present = head_commit(root)
    if present != begun:
        before, after = (commit[:12] if commit else "no commit" for commit in (begun, present))
        raise VersioningError(
            f"the commit of {root} changed from {before} to {after} during the run: its results are not linked or "
            "pushed; run again, and leave the checkout alone meanwhile"
        )
