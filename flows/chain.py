"""The pipeline: the stages in order, with the promotion gate between evaluate and stylize."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import gmtime, strftime

from filelock import FileLock, Timeout

from flows.stage import explained_by_stage
from stylegan_core.storage.state_folder import STATE_FOLDER
from tasks.project.sync import CODE_FOLDER, kept_by_sync, sync
from tasks.promotion.gate import run_gate
from tasks.promotion.promote import promote_candidates
from tasks.shared.errors import StoppedError
from tasks.shared.lineage import PipelineLink, link_run
from tasks.shared.origin import FLOW_RUN_VARIABLE, flow_run_id, origin
from tasks.shared.runner import Runner
from tasks.shared.versioning import STAGES, VersioningError, commit_to_branch, git_state, lock_digest, push, reproduce

log = logging.getLogger(__name__)

RESULTS = ("dvc.lock", "dvc.yaml", CODE_FOLDER, "reports/metrics.json", "reports/speed.json", "reports/train")
"""Files that a scheduled run commits to its branch; the DVC remote holds the pictures and models of dvc.lock.

dvc.yaml and the code digests are included, since ``sync`` may have rewritten them and dvc.lock refers to them.
"""
SCHEDULES = "prefect.yaml"
"""Deployments: the server has its own copy, so a change here does not change the run."""


@dataclass(frozen=True)
class ChainSettings:
    """Settings of the pipeline.

    Attributes:
        scheduled: refuse uncommitted changes, and commit the results to ``branch``.
        max_swd_ratio: of the promotion gate; None: ``promote.max_swd_ratio`` of params.yaml.
        push: copy data and models to the DVC remote.
        branch: for the results of scheduled runs.
        lock_wait_s: how long to wait for another pipeline or dvc in this checkout.
    """

    scheduled: bool = False
    max_swd_ratio: float | None = None
    push: bool = True
    branch: str = "runs/nightly"
    lock_wait_s: float = 3600.0


def chain(runner: Runner, root: Path, settings: ChainSettings) -> PipelineLink:
    """Runs the stages in order; a failed stage ends the pipeline.

    Returns:
        The lineage of this run; with ``refused`` if a model was refused before and nothing has changed: the stage
        stylize did not run, and its frames are those of the promoted models.

    Raises:
        UsageError, StoppedError, InputsFailedError: a stage failed with this error.
        VersioningError: dvc failed, the tree has uncommitted changes, or HEAD moved during the run.
        GateError: a model is not good enough to be promoted.
        RegistryError: the model registry failed.
    """
    with _pipeline_lock(root, settings.lock_wait_s):
        return _locked_chain(runner, root, settings)


@contextmanager
def _pipeline_lock(root: Path, wait_s: float) -> Iterator[None]:
    """The lock of a checkout: limits of work pools and deployments ignore calls by hand.

    Raises:
        StoppedError: another pipeline held it for longer than ``wait_s``.
    """
    state = root / STATE_FOLDER
    state.mkdir(exist_ok=True)
    lock = FileLock(state / "pipeline.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("another pipeline is running in %s: waiting for its end, for at most %.0f s", root, wait_s)
        try:
            lock.acquire(timeout=wait_s)
        except Timeout:
            raise StoppedError(f"another pipeline has been running in {root} for {wait_s:.0f} s: try later") from None
    try:
        yield
    finally:
        lock.release()


def _locked_chain(runner: Runner, root: Path, settings: ChainSettings) -> PipelineLink:
    if settings.scheduled:
        runner.run("check the tree", refuse_changes, root)
    runner.run("sync", sync, root)
    run_id, begun = flow_run_id(), origin(root)
    environment = {FLOW_RUN_VARIABLE: run_id} if run_id else {}
    passed = ""
    for stage in STAGES:
        if stage == "stylize":
            gate = runner.run("gate", run_gate, root, max_swd_ratio=settings.max_swd_ratio)
            passed = gate.summary()
            if not gate.passed:
                return _nothing_promoted(root, run_id, passed)
            runner.run("promote", promote_candidates, root, gate)
        refuse_another_commit(root, begun.get("git_commit"))
        runner.run(stage, _reproduce, root, stage, environment=environment, lock_wait_s=settings.lock_wait_s)
    refuse_another_commit(root, begun.get("git_commit"))
    link = runner.run("lineage", link_run, root, run_id, begun, gate=passed)
    if settings.push:
        runner.run("push", push, root, lock_wait_s=settings.lock_wait_s)
    if settings.scheduled:
        message = f"Results of {'flow run ' + run_id if run_id else 'a scheduled run'}\n\n{passed}"
        commit = runner.run("commit", commit_to_branch, root, settings.branch, RESULTS, message)
        return link.model_copy(update={"runs_commit": commit})
    return link


def _nothing_promoted(root: Path, run_id: str | None, summary: str) -> PipelineLink:
    """The end of a run whose models were refused by an earlier one: it delivers, links and pushes nothing."""
    log.warning("stylize is skipped, and its frames stay those of the promoted models: %s", summary)
    time = strftime("%Y-%m-%dT%H:%M:%SZ", gmtime())
    lock = lock_digest(root) or ""
    return PipelineLink(flow_run_id=run_id or "", dvc_lock=lock, models={}, gate=summary, time=time, refused=True)


def _reproduce(root: Path, stage: str, *, environment: dict[str, str], lock_wait_s: float) -> None:
    with explained_by_stage(root):
        reproduce(root, stage, environment=environment, lock_wait_s=lock_wait_s)


def refuse_another_commit(root: Path, begun: str | None) -> None:
    """Refuses to go on if HEAD has moved since the run began: its results would belong to neither commit.

    Raises:
        VersioningError: it has moved.
    """
    now = git_state(root).commit
    if now != begun:
        before, after = (commit[:12] if commit else "no commit" for commit in (begun, now))
        raise VersioningError(
            f"the commit of {root} changed from {before} to {after} during the run: its results are not linked or "
            "pushed; run again, and use a clone of its own for scheduled runs"
        )


def refuse_changes(root: Path) -> None:
    """Refuses uncommitted changes: the results of a scheduled run name the commit that produced them.

    Files that ``sync`` wrote may differ: they are derived from the others and committed with the results. prefect.yaml
    may differ too: the server has a copy of its own.

    Raises:
        VersioningError: files differ from the commit, or there is no commit.
    """
    state = git_state(root)
    if state.commit is None:
        raise VersioningError(f"{root} has no git commit: commit the project before a scheduled run")
    changed = [path for path in state.changed if path != SCHEDULES and not kept_by_sync(root, path)]
    if changed:
        some = ", ".join(changed[:5]) + (" ..." if len(changed) > 5 else "")
        raise VersioningError(f"{root} has uncommitted changes ({some}): use a separate clone for scheduled runs")
