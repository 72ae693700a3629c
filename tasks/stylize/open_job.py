"""Opens a planned job and its model, for ``stylereel work`` and for the workers of a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stylegan_core.inference.job.spec import Job, PlanError, read_job
from stylegan_core.recipes.model import Model, ModelError, load_model
from stylegan_core.settings import SettingsError
from tasks.shared.errors import UsageError


def open_job(file: Path) -> tuple[Job, Model]:
    """Reads a job file and loads its model.

    Raises:
        UsageError: the file is not a job, or its model has changed since.
    """
    with usage_errors():
        job = read_job(file)
        model = load_model(job.model_folder)
        if model.card.digest != job.model_digest:
            raise PlanError(f"{job.model_folder} was trained again after {file} was planned: plan again")
    return job, model


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turns errors of planning, models and settings inside the block into ``UsageError``."""
    try:
        yield
    except (PlanError, ModelError, SettingsError) as error:
        raise UsageError(str(error)) from error
