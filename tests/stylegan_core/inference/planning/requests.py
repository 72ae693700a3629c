"""Plans and selections of requests that are given as plain options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.plan import Plan
from stylegan_core.inference.planning.planner import plan_job
from stylegan_core.inference.planning.request import Request
from stylegan_core.inference.planning.selection.select import Selection, select
from stylegan_core.recipes.model import Model


def select_frames(source: str | Path, output: str | Path, **options: Any) -> Selection:
    """The selection of a request with ``options``."""
    return select(Request.of(source, output, **options))


def plan_frames(model: Model, frames: Sequence[FrameTask], source: Path, output: Path, **options: Any) -> Plan:
    """A plan for frames that are listed by hand."""
    return plan_job(Request.of(source, output, **options), Selection(source, output, tuple(frames)), model)


def plan_selected(model: Model, source: str | Path, output: str | Path, **options: Any) -> Plan:
    """A plan for the frames that the request itself selects."""
    request = Request.of(source, output, **options)
    return plan_job(request, select(request), model)
