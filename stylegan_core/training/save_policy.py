"""When a checkpoint is due, and when a run ends before its budget; all processes make the same decision."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from stylegan_core.config import CommonSettings
from stylegan_core.training.interruption import StopRequest
from stylegan_core.training.progress import Progress

if TYPE_CHECKING:
    from lightning.fabric import Fabric

Reason = Literal["stop", "limit", "end", "due", ""]
"""Why a checkpoint is saved; empty: none is due."""


class SavePolicy:
    """Decides after each step whether to save; measures the elapsed time of the run.

    Args:
        fabric: the first process decides for all.
        progress: its ``elapsed_s`` is kept up to date.
        common: interval of checkpoints and time limit.
        stop: a signal's request.
    """

    def __init__(self, fabric: Fabric, progress: Progress, common: CommonSettings, stop: StopRequest) -> None:
        self._fabric, self._progress, self._common, self.stop = fabric, progress, common, stop
        self._started_s = self._saved_s = time.monotonic()
        self._elapsed_before_s = progress.elapsed_s

    def over_limit(self) -> bool:
        """Whether ``limit_minutes`` has passed, over all starts of the run."""
        limit = self._common.limit_minutes
        return limit is not None and self._progress.elapsed_s >= 60.0 * limit

    def reason(self, *, at_end: bool) -> Reason:
        """Why a checkpoint is due now, or an empty string; the same in all processes.

        A validation is no reason: a run that is killed after one validates again, to the same figures.

        Args:
            at_end: the budget is spent.
        """
        progress, now_s = self._progress, time.monotonic()
        progress.elapsed_s = self._elapsed_before_s + now_s - self._started_s
        reason: Reason = ""
        if self.stop.reason:
            reason = "stop"
        elif self.over_limit():
            reason = "limit"
        elif at_end:
            reason = "end"
        elif now_s - self._saved_s >= self._common.checkpoint_every_s:
            reason = "due"
        if self._fabric.world_size > 1:
            reason, progress.elapsed_s = self._fabric.broadcast((reason, progress.elapsed_s))
        return reason

    def saved(self) -> None:
        """Restarts the interval: a checkpoint was written."""
        self._saved_s = time.monotonic()
