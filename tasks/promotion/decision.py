"""Decisions of the promotion gate: outcome, reason and a table of the shots, as JSON and as Markdown."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.storage.state_folder import STATE_FOLDER
from tasks.promotion.paired_change import PairedChange
from tasks.shared.project_home import project_home

PROMOTIONS_FILE = Path(STATE_FOLDER) / "promotions.jsonl"

Outcome = Literal["promoted", "refused", "held", "unchanged", "rolled back"]
"""held: good enough, but the model of another training was refused. unchanged: it is the promoted model already."""

_TAGS = ("outcome", "reason", "time", "key", "compared_with")
_TAG = "promotion_"


def now() -> str:
    """The time of a decision: UTC, ISO 8601."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class ShotResult(BaseModel):
    """The comparison of one shot or collection; distances, of which less is better.

    Attributes:
        subject: its name.
        metric: "truth/swd", or "style/swd" where no truth is known.
        frames: that were compared.
        candidate: mean over frames of the new model.
        promoted: that of the promoted model; None if there is none.
        change: relative, from the promoted model to the new one.
        low: lower end of the interval of ``change``.
        high: upper end.
        verdict: see ``paired_change.PairedChange.verdict``.
    """

    model_config = ConfigDict(frozen=True)

    subject: str
    metric: str
    frames: int
    candidate: float
    promoted: float | None = None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    verdict: str = ""

    def interval(self) -> str:
        """The change with its interval, in percent."""
        if self.change is None or self.low is None or self.high is None:
            return ""
        return f"{100 * self.change:+.1f} % ({100 * self.low:+.1f} to {100 * self.high:+.1f})"

    @classmethod
    def of(
        cls, subject: str, metric: str, pairs: list[tuple[float, float]], change: PairedChange, margin: float
    ) -> ShotResult:
        """From the figures of the new and the promoted model of each frame."""
        candidate, promoted = (sum(side) / len(pairs) for side in zip(*pairs, strict=True))
        changed = {"change": change.value, "low": change.low, "high": change.high, "verdict": change.verdict(margin)}
        return cls(subject=subject, metric=metric, frames=len(pairs), candidate=candidate, promoted=promoted, **changed)


class Decision(BaseModel):
    """What was decided about a model.

    Attributes:
        training: of the model.
        outcome: see ``Outcome``.
        reason: in one line.
        digest: of the model.
        compared_with: digest of the model that was promoted then; empty if there was none.
        time: UTC, ISO 8601.
        by: "gate" or "hand".
        evaluation: key of the evaluation set, see ``evaluation_set.evaluation_key``.
        key: of everything that the decision depends on besides the model; an equal one is not decided again.
        shots: the table.
    """

    model_config = ConfigDict(frozen=True)

    training: str
    outcome: Outcome
    reason: str
    digest: str
    compared_with: str = ""
    time: str
    by: Literal["gate", "hand"] = "gate"
    evaluation: str = ""
    key: str = ""
    shots: tuple[ShotResult, ...] = ()

    def tags(self) -> dict[str, str]:
        """Tags of the model version."""
        return {_TAG + name: str(getattr(self, name)) for name in _TAGS}

    def describe(self) -> str:
        """One line for logs."""
        return f"{self.training}: {self.outcome}, {self.reason}"

    def as_markdown(self) -> str:
        """The decision with its table."""
        before = f", compared with {self.compared_with[:16]}" if self.compared_with else ""
        head = f"**{self.outcome}** {self.time}, by {self.by}{before}: {self.reason}"
        return f"{head}\n\n{self.table()}\n" if self.shots else f"{head}\n"

    def table(self) -> str:
        """The table of the shots, in Markdown."""
        rows = [
            "| shot | metric | frames | new | promoted | change (interval) | verdict |",
            "| --- | --- | --: | --: | --: | --: | --- |",
        ]
        for shot in self.shots:
            promoted = "" if shot.promoted is None else f"{shot.promoted:.4g}"
            cells = (shot.subject or self.training, shot.metric, str(shot.frames), f"{shot.candidate:.4g}", promoted)
            rows.append(f"| {' | '.join((*cells, shot.interval(), shot.verdict))} |")
        return "\n".join(rows)


class EarlierDecision(BaseModel):
    """The last decision about a model, from the tags of its version; empty texts where there was none."""

    model_config = ConfigDict(frozen=True)

    outcome: str = ""
    reason: str = ""
    time: str = ""
    key: str = ""

    @classmethod
    def of_tags(cls, tags: Mapping[str, str]) -> EarlierDecision:
        """From tags without the prefix of stylereel."""
        return cls(**{name: tags.get(_TAG + name, "") for name in cls.model_fields})


def append_decision(root: Path, decision: Decision) -> None:
    """Adds a decision to .stylereel/promotions.jsonl; the file is replaced as a whole, so no line is ever torn."""
    path = project_home(root) / PROMOTIONS_FILE
    before = path.read_bytes() if path.is_file() else b""
    line = json.dumps(decision.model_dump(mode="json"), sort_keys=True)
    write_bytes_atomically(path, before + line.encode() + b"\n")
