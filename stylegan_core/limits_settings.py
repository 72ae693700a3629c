"""Section ``limits`` of params.yaml: time limits of scheduled and on-demand runs; no stage of DVC reads it.

A module of its own, without torch: a look at a hot folder that finds no shot reads it, too.
"""

from __future__ import annotations

from pydantic import Field

from stylegan_core.settings import Settings


class LimitsSettings(Settings):
    """Time limits in hours."""

    run_hours: float | None = Field(168.0, gt=0, description="of a whole run of the pipeline; null: no limit")
    prepare_hours: float | None = Field(24.0, gt=0, description="of the stage prepare in a run of the pipeline")
    train_hours: float | None = Field(120.0, gt=0, description="of the stage train; the next run continues it")
    evaluate_hours: float | None = Field(24.0, gt=0, description="of the stage evaluate")
    stylize_hours: float | None = Field(72.0, gt=0, description="of the stage stylize; the next run continues it")
    transfer_hours: float | None = Field(12.0, gt=0, description="of fetch, push and publish, each")
    on_demand_hours: float | None = Field(24.0, gt=0, description="of a run on demand, and of a look at the hot folder")
