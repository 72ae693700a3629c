"""What deployments run: the whole pipeline, and one folder on demand. prefect.yaml names these flows."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from flows.chain import ChainSettings, chain
from flows.runner import PrefectRunner
from flows.stage import configure_logging
from tasks.shared.versioning import project_root


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
    # A push may be repeated; a stage may not: its inputs have not changed.
    return chain(PrefectRunner(retries={"push": 2}), project_root(), settings)


@flow(name="stylize-on-demand", persist_result=False)
def stylize_on_demand(input: str, output: str, model: str = "") -> dict[str, object]:
    """Stylizes the folder ``input`` into ``output`` with ``model`` (a folder or models:/ URI; default: the last)."""
    from flows.stylize import stylize_command

    configure_logging()
    return stylize_command(PrefectRunner(), Path(input), Path(output), model=model or None)
