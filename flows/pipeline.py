"""Prefect flows of the deployments in prefect.yaml: the whole pipeline, and one folder on demand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import prefect
from prefect.runtime import flow_run

from flows.chain import ChainSettings, chain
from flows.dead_runs import alive
from flows.notifications import reported
from flows.runners.prefect_runner import PrefectRunner
from flows.stage import configure_logging
from stylegan_core.threads import use_threads
from tasks.shared.versioning import project_root

_Function = TypeVar("_Function", bound=Callable[..., Any])


def flow(*, name: str, persist_result: bool) -> Callable[[_Function], _Function]:
    """Prefect's decorator, typed; Prefect reads the name of a deployment's flow from a decorator called ``flow``."""
    decorate: Callable[[_Function], _Function] = prefect.flow(name=name, persist_result=persist_result)
    return decorate


@flow(name="pipeline", persist_result=False)
def pipeline(
    scheduled: bool = False,
    max_swd_ratio: float = 1.0,
    push: bool = True,
    branch: str = "runs/nightly",
    lock_wait_s: float = 3600.0,
) -> dict[str, object]:
    """Brings every stage up to date, promotes, links and pushes; the parameters are ``flows.chain.ChainSettings``."""
    configure_logging()
    settings = ChainSettings(scheduled, max_swd_ratio, push, branch, lock_wait_s)
    root = project_root()
    with alive(root, _own_id()), reported(root, "pipeline"):
        # Only the push is retried: a stage that failed fails again on the same inputs.
        return chain(PrefectRunner(retries={"push": 2}), root, settings).as_dict()


@flow(name="stylize-on-demand", persist_result=False)
def stylize_on_demand(input: str, output: str, model: str = "") -> dict[str, object]:
    """Stylizes the folder ``input`` into ``output`` with ``model`` (a folder or models:/ URI; default: the last)."""
    from flows.stylize import stylize_command

    configure_logging()
    use_threads()
    with alive(project_root(), _own_id()), reported(project_root(), "stylize-on-demand"):
        return stylize_command(PrefectRunner(), Path(input), Path(output), model=model or None)


def _own_id() -> str:
    return str(flow_run.id)
