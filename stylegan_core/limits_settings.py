"""Section ``limits`` of params.yaml: time limits of scheduled and on-demand runs, and the age of old ones.

No stage of DVC reads it. A module of its own, without torch: a look at a hot folder that finds no shot reads it, too.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stylegan_core.settings import Settings

_Hours = Annotated[float, Field(gt=0, le=87_600)]
"""Ten years at most: the system's waits refuse more; null is no limit."""


class LimitsSettings(Settings):
    """Time limits in hours, and an age in days."""

    run_hours: _Hours | None = Field(168.0, description="of a whole run of the pipeline; null: no limit")
    prepare_hours: _Hours | None = Field(24.0, description="of the stage prepare in a run of the pipeline")
    train_hours: _Hours | None = Field(120.0, description="of the stage train; the next run continues it")
    evaluate_hours: _Hours | None = Field(24.0, description="of the stage evaluate")
    stylize_hours: _Hours | None = Field(72.0, description="of the stage stylize; the next run continues it")
    transfer_hours: _Hours | None = Field(12.0, description="of fetch, push and publish, each")
    on_demand_hours: _Hours | None = Field(24.0, description="of a run on demand, and of a look at the hot folder")
    keep_days: float = Field(90.0, ge=0, description="age at which runs leave Prefect and MLflow at night; 0 keeps all")
