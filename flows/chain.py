"""The stages in order, with the promotion gate between evaluate and stylize: what the pipeline runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from flows.stage import explained_by_stage
from stylegan_core.storage.state_folder import STATE_FOLDER
from tasks.project.sync import CODE_FOLDER, kept_by_sync, sync
from tasks.shared.errors import StoppedError
from tasks.shared.gate import check_gate
from tasks.shared.lineage import PipelineLink, link_run, mark_promoted
from tasks.shared.origin import FLOW_RUN_VARIABLE, flow_run_id
from tasks.shared.runner import Runner
from tasks.shared.versioning import STAGES, VersioningError, commit_to_branch, git_state, push, reproduce

RESULTS = ("dvc.lock", "dvc.yaml", CODE_FOLDER, "reports/metrics.json", "reports/train")
"""What a scheduled run commits to its branch; pictures and models are in the DVC remote under dvc.lock's names.

dvc.yaml and the code's digests are in it since ``sync`` may have rewritten them: dvc.lock is of these.
"""


@dataclass(frozen=True)
class ChainSettings:
    """How the pipeline runs.

    Attributes:
        scheduled: nobody watches: a tree with changes is refused, and the results are committed to ``branch``.
        max_swd_ratio: the promotion gate's, see ``tasks.shared.gate``.
        push: whether data and models are copied to the DVC remote.
        branch: of the results of scheduled runs.
        lock_wait_s: how long to wait for another pipeline or dvc in this checkout.
    """

    scheduled: bool = False
    max_swd_ratio: float = 1.0
    push: bool = True
    branch: str = "runs/nightly"
    lock_wait_s: float = 3600.0


def chain(runner: Runner, root: Path, settings: ChainSettings) -> PipelineLink:
    """Runs the stages one after the other; a failed one stops the rest.

    Returns:
        The lineage of this run, as ``tasks.shared.lineage.link_run`` writes it.

    Raises:
        UsageError, StoppedError, InputsFailedError: a stage failed so.
        VersioningError: dvc failed by itself, or the tree is not clean.
        GateError: the model is not good enough to be promoted.
    """
    state = root / STATE_FOLDER
    state.mkdir(exist_ok=True)
    try:
        # A work pool's concurrency limit does not know of other pools or of calls by hand in this checkout.
        with FileLock(state / "pipeline.lock", timeout=settings.lock_wait_s):
            return _locked_chain(runner, root, settings)
    except Timeout:
        raise StoppedError(
            f"another pipeline has worked in {root} for {settings.lock_wait_s:.0f} s: try later"
        ) from None


def _locked_chain(runner: Runner, root: Path, settings: ChainSettings) -> PipelineLink:
    if settings.scheduled:
        runner.run("check the tree", refuse_changes, root)
    runner.run("sync", sync, root)
    run_id = flow_run_id()
    environment = {FLOW_RUN_VARIABLE: run_id} if run_id else {}
    passed = ""
    for stage in STAGES:
        if stage == "stylize":
            passed = runner.run("gate", check_gate, root / "reports/metrics.json", max_swd_ratio=settings.max_swd_ratio)
            runner.run("promote", mark_promoted, root)
        runner.run(stage, _reproduce, root, stage, environment=environment, lock_wait_s=settings.lock_wait_s)
    link = runner.run("lineage", link_run, root, run_id, gate=passed)
    if settings.push:
        runner.run("push", push, root, lock_wait_s=settings.lock_wait_s)
    if settings.scheduled:
        message = f"Results of {'flow run ' + run_id if run_id else 'a scheduled run'}\n\n{passed}"
        commit = runner.run("commit", commit_to_branch, root, settings.branch, RESULTS, message)
        return link.model_copy(update={"runs_commit": commit})
    return link


def _reproduce(root: Path, stage: str, *, environment: dict[str, str], lock_wait_s: float) -> None:
    with explained_by_stage(root):
        reproduce(root, stage, environment=environment, lock_wait_s=lock_wait_s)


def refuse_changes(root: Path) -> None:
    """A scheduled run's results must name a commit that holds what ran.

    What ``sync`` writes is derived from the rest, and committed with the results: it may differ.

    Raises:
        VersioningError: files differ from the commit, or there is none.
    """
    state = git_state(root)
    if state.commit is None:
        raise VersioningError(f"{root} has no git commit: a scheduled run needs one to name what it ran")
    if changed := [path for path in state.changed if not kept_by_sync(root, path)]:
        some = ", ".join(changed[:5]) + (" ..." if len(changed) > 5 else "")
        raise VersioningError(
            f"{root} has changes that are not committed ({some}): give scheduled runs their own clone"
        )
