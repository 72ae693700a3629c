"""Lineage of pipeline runs: which models, data and commit a flow run delivered, as files in .stylereel/lineage/.

MLflow runs know what made a model. A model or frame that DVC took from its cache was made by an earlier flow run than
the one that delivered it, therefore each pipeline run writes a file of its own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.storage.model_folder import MODEL_CARD, read_model_digest
from stylegan_core.storage.state_folder import STATE_FOLDER
from tasks.shared import tracking
from tasks.shared.project_home import project_home
from tasks.shared.versioning import lock_digest

LINEAGE_FOLDER = Path(STATE_FOLDER) / "lineage"


class DeliveredModel(BaseModel):
    """A model that a pipeline run delivered.

    Attributes:
        digest: of the model.
        mlflow_run: id of the run that made it; empty if unknown.
    """

    model_config = ConfigDict(frozen=True)

    digest: str
    mlflow_run: str = ""


class PipelineLink(BaseModel):
    """What a pipeline run delivered; a file in .stylereel/lineage/.

    Attributes:
        flow_run_id: of Prefect; empty if the pipeline ran without a server.
        git_commit: of the checkout; None outside of git.
        git_dirty: "yes" or "no"; None outside of git.
        project: name of the project.
        dvc_lock: SHA-256 of dvc.lock; empty if there is none.
        models: by the name of the training.
        gate: the comparison that the promotion gate made.
        time: UTC, ISO 8601.
        refused: the run delivered nothing, since a model was refused before; never in a file.
        runs_commit: commit of the results of a scheduled run; not in the file, which is part of that commit's past.
    """

    model_config = ConfigDict(frozen=True)

    flow_run_id: str
    git_commit: str | None = None
    git_dirty: str | None = None
    project: str | None = None
    dvc_lock: str
    models: dict[str, DeliveredModel]
    gate: str
    time: str
    refused: bool = False
    runs_commit: str | None = None

    def as_dict(self) -> dict[str, object]:
        """Plain values, for JSON; unknown ones are left out."""
        return self.model_dump(exclude_none=True, exclude={"refused"})


def model_digests(root: Path) -> dict[str, str]:
    """Digest of each model in models/, by the name of its training."""
    folders = sorted(card.parent for card in (root / "models").glob(f"*/{MODEL_CARD}"))
    return {folder.name: digest for folder in folders if (digest := read_model_digest(folder)) is not None}


def link_run(root: Path, run_id: str | None, begun: Mapping[str, str], *, gate: str = "") -> PipelineLink:
    """Writes what a pipeline run delivered, and tags the MLflow runs of its models with its id.

    Args:
        root: the project.
        run_id: of the flow run; None without a server.
        begun: ``origin`` at the start of the run: HEAD may have moved meanwhile.
        gate: the comparison that the promotion gate made.
    """
    models = {
        name: DeliveredModel(digest=digest, mlflow_run=tracking.find_run_by_digest(digest) or "")
        for name, digest in model_digests(root).items()
    }
    link = PipelineLink(
        flow_run_id=run_id or "",
        git_commit=begun.get("git_commit"),
        git_dirty=begun.get("git_dirty"),
        project=begun.get("project"),
        dvc_lock=lock_digest(root) or "",
        models=models,
        gate=gate,
        time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )
    name = run_id or time.strftime("by-hand-%Y%m%d-%H%M%S", time.gmtime())
    text = json.dumps(link.as_dict(), indent=1, sort_keys=True)
    write_bytes_atomically(project_home(root) / LINEAGE_FOLDER / f"{name}.json", text.encode())
    for model in models.values():
        if model.mlflow_run and run_id:
            earlier = (tracking.run_tags(model.mlflow_run) or {}).get("delivered_by", "")
            delivered = " ".join(dict.fromkeys([*earlier.split(), run_id]))
            tracking.log_results(model.mlflow_run, tags={"delivered_by": delivered, "delivered_lock": link.dvc_lock})
    return link


def read_links(root: Path) -> Iterator[PipelineLink]:
    """The links of all pipeline runs of a project, by file name."""
    for path in sorted((project_home(root) / LINEAGE_FOLDER).glob("*.json")):
        yield PipelineLink.model_validate_json(path.read_bytes())
