"""A problem that people should know of: what failed, why in one line, and what to do."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from tasks.notify.messages import Message
from tasks.scheduled.run_checkout import results_folder
from tasks.shared.errors import StoppedError, TimeLimitError, UsageError
from tasks.shared.gate import GateError
from tasks.shared.shown_url import shown_url
from tasks.shared.versioning import STAGES

Kind = Literal["failed", "refused", "crashed", "stuck", "late", "server", "disk"]

_LONGEST_REASON = 600
_VARIABLE = re.compile(r"[0-9a-f]{8,}|\d+")
"""What differs between two reports of the same failure: ids, numbers of steps, sizes, times."""

_TITLES: dict[Kind, str] = {
    "failed": "{work} failed",
    "refused": "{work}: the gate refused the model",
    "crashed": "{work} ended without a word",
    "stuck": "{work} is stuck",
    "late": "{work} does not start",
    "server": "{work} does not answer",
    "disk": "{work} is nearly full",
}


class Problem(BaseModel):
    """One problem.

    Attributes:
        work: what has it, such as the flow ``pipeline`` or "disk of the cache"; a success of the same work ends it.
        kind: of problem.
        stage: that failed; empty if unknown.
        reason: one line.
        advice: what to do.
        url: the run's page on the Prefect server; empty if unknown.
    """

    model_config = ConfigDict(frozen=True)

    work: str
    kind: Kind
    reason: str
    advice: str
    stage: str = ""
    url: str = ""

    def fingerprint(self) -> str:
        """Equal for the same failure: kind, work and stage, and the reason, of a failure without numbers and ids."""
        # Figures tell refusals of two models apart: the gate refuses the same model once.
        reason = self.reason if self.kind == "refused" else _VARIABLE.sub("#", self.reason.lower())
        reason = " ".join(reason.split())
        return hashlib.sha256("\0".join((self.kind, self.work, self.stage, reason)).encode()).hexdigest()[:16]

    def headline(self) -> str:
        """What happened, without the reason."""
        return _TITLES[self.kind].format(work=self.work) + (f" in {self.stage}" if self.stage else "")

    def message(self, project: str) -> Message:
        """The message that reports it."""
        lines = [f"Reason: {self.reason}", f"What to do: {self.advice}"]
        if self.url:
            lines.append(f"Run: {self.url}")
        return Message(title=f"[{project}] {self.headline()}", lines=tuple(lines))


def one_line(error: BaseException | str) -> str:
    """The reason in one line, without the passwords of URLs."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = shown_url(text)
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 4] + " ..."


def problem_of(error: Exception, work: str, root: Path, url: str = "") -> Problem:
    """The problem that an exception at the end of ``work`` means.

    Args:
        error: as a stage, dvc or the gate raised it; the error of a stage begins with the stage's name.
        work: the flow.
        root: the project.
        url: the run's page.
    """
    reason = one_line(error)
    if isinstance(error, GateError):
        advice = (
            f"look at {results_folder(root) / 'reports/review.html'}; train longer, or change promote in params.yaml. "
            "The alias `promoted` still names the former model"
        )
        return Problem(work=work, kind="refused", reason=reason, advice=advice, url=url)
    first, separator, rest = reason.partition(": ")
    stage = first if separator and first in STAGES else ""
    if stage:  # prepare itself begins its messages with its name, too
        reason = rest.removeprefix(f"{stage}: ")
    return Problem(work=work, kind="failed", stage=stage, reason=reason, advice=_advice(error, root), url=url)


def _advice(error: Exception, root: Path) -> str:
    if isinstance(error, UsageError):
        return f"correct what the reason names in {root}, then run again"
    if isinstance(error, TimeLimitError):
        return (
            "read the log of the run for what it waited for, such as a network share; if it needs more time, raise "
            f"the limit that the reason names in {root / 'params.yaml'}. The next run continues from what is done"
        )
    if isinstance(error, StoppedError):
        return "remove the cause (disk, mount, memory), then run again: it continues from its checkpoint"
    return f"read the log of the run, and {results_folder(root) / '.stylereel/last-error.txt'}, then run again"
