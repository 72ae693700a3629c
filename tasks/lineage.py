"""Which run made what: flow run ids, and the links between frame, model, MLflow run, flow run and commit."""

from __future__ import annotations

import os

FLOW_RUN_VARIABLE = "STYLEREEL_FLOW_RUN_ID"
"""Environment variable by which a pipeline's flow run names itself to the stages that it starts."""


def flow_run_id() -> str | None:
    """Id of the pipeline's flow run that this process works for, else of the stage's own flow run, else None."""
    if parent := os.environ.get(FLOW_RUN_VARIABLE):
        return parent
    if not os.environ.get("PREFECT_API_URL"):
        return None
    from prefect.runtime import flow_run

    return str(flow_run.id) if flow_run.id else None
