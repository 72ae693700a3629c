"""Morning summary: what ran since the last one, figures before and after, problems, free disk, and the review page."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, Field, ValidationError

from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.storage.state_folder import STATE_FOLDER
from tasks.notify.messages import Message
from tasks.notify.outbox import send
from tasks.notify.receivers import receivers
from tasks.notify.runs import RunNote, read_notes
from tasks.notify.sent import open_problems
from tasks.project.disks import disks
from tasks.scheduled.run_checkout import results_folder
from tasks.shared.errors import UsageError
from tasks.shared.project_identity import read_identity

SUMMARY_FILE = Path(STATE_FOLDER) / "summary.json"
REVIEW_PAGE = Path("reports/review.html")
_METRICS = Path("reports/metrics.json")
_BASELINES = ("_unstylized", "_best_filter", "_truth")
_MOST_FIGURES = 8
_FIRST_S = 86400.0
"""The first summary covers a day."""


class LastSummary(BaseModel):
    """Content of .stylereel/summary.json.

    Attributes:
        sent_s: when, seconds since 1970.
        figures: of reports/metrics.json at that time.
    """

    sent_s: float
    figures: dict[str, float] = Field(default_factory=dict)


def send_summary_if_due(root: Path, *, hour: int, timezone: str, now_s: float) -> bool:
    """Sends the summary once a day, at the first call after ``hour``.

    Args:
        root: the project.
        hour: of the day in ``timezone``, 0 to 23.
        timezone: IANA name, such as Europe/Berlin.
        now_s: seconds since 1970.

    Returns:
        Whether it was sent, or kept in the outbox.

    Raises:
        UsageError: the time zone is unknown, or the settings of the receivers are wrong.
    """
    zone, last = _zone(timezone), _last(root)
    due_s = _due_s(hour, zone, now_s)
    if now_s < due_s or (last is not None and last.sent_s >= due_s) or not receivers(root):
        return False
    figures = _figures(results_folder(root))
    send(root, summary(root, last, figures, now_s, zone))
    written = LastSummary(sent_s=now_s, figures=figures)
    write_bytes_atomically(root / SUMMARY_FILE, written.model_dump_json(indent=1).encode())
    return True


def summary(
    root: Path, last: LastSummary | None, figures: Mapping[str, float], now_s: float, zone: ZoneInfo
) -> Message:
    """The summary since ``last``, or of a day if that is None.

    Args:
        root: the project.
        last: the summary before.
        figures: now, by name.
        now_s: seconds since 1970.
        zone: of the times of day in it.
    """
    since_s = last.sent_s if last else now_s - _FIRST_S
    notes = read_notes(root, lambda note: note.outcome == "running" or (note.ended_s or 0.0) > since_s)
    ended = [note for note in notes if note.outcome != "running"]
    bad = [note for note in ended if note.outcome not in ("completed", "stopped")]
    verdict = f"{len(ended)} runs, {len(bad)} failed" if ended else "nothing ran"
    lines = [f"Since {_clock(since_s, zone)}:", *(_describe(note, zone) for note in notes)]
    lines += [f"open since {_clock(each.first_s, zone)}: {each.problem.headline()}" for each in open_problems(root)]
    lines += _compare(last.figures if last else {}, figures)
    lines += [f"disk of {disk.name}: {disk.describe()}" for disk in disks(root)]
    page = results_folder(root) / REVIEW_PAGE
    if page.is_file():
        lines.append(f"review page of {_clock(page.stat().st_mtime, zone)}: {page}")
    name = read_identity(root).name
    return Message(
        title=f"[{name}] {verdict}", lines=tuple(lines), attachment=str(page.resolve()) if page.is_file() else ""
    )


def _zone(timezone: str) -> ZoneInfo:
    try:
        return ZoneInfo(timezone)
    except (OSError, ValueError, ZoneInfoNotFoundError) as error:
        raise UsageError(f"unknown time zone {timezone!r}: use a name such as UTC or Europe/Berlin") from error


def _due_s(hour: int, zone: ZoneInfo, now_s: float) -> float:
    """When today's summary is due, seconds since 1970."""
    return datetime.fromtimestamp(now_s, zone).replace(hour=hour, minute=0, second=0, microsecond=0).timestamp()


def _describe(note: RunNote, zone: ZoneInfo) -> str:
    begun = f"{note.work} of {_clock(note.begun_s, zone)}"
    if note.outcome == "running":
        return f"{begun}: {'runs' if note.is_alive() else 'its process is gone'}"
    took = "" if note.ended_s is None else f", {_duration(note.ended_s - note.begun_s)}"
    if note.outcome == "completed":
        return f"{begun}: completed{took}" + (", the model is promoted" if note.work == "pipeline" else "")
    where = f" in {note.stage}" if note.stage else ""
    words = {"refused": "refused by the gate, not promoted"}.get(note.outcome, note.outcome)
    return f"{begun}: {words}{where}{took}" + (f": {note.reason}" if note.reason else "")


def _compare(before: Mapping[str, float], now: Mapping[str, float]) -> Iterator[str]:
    """Changed figures, before and after; those of the whole set rather than those of single shots."""
    own = [name for name in now if not name.endswith(_BASELINES)]
    changed = [name for name in own if before.get(name) != now[name]]
    changed.sort(key=lambda name: name.startswith("shot/"))  # stable: else in the order of the file
    for name in changed[:_MOST_FIGURES]:
        baseline = now.get(f"{name}_unstylized")
        beside = "" if baseline is None else f" (untouched input {baseline:.4g})"
        earlier = f"{before[name]:.4g} -> " if name in before else ""
        yield f"{name}: {earlier}{now[name]:.4g}{beside}"
    if len(changed) > _MOST_FIGURES:
        yield f"and {len(changed) - _MOST_FIGURES} more figures: `stylereel report` shows them"
    if now and not changed:
        yield "figures: as before"


def _figures(root: Path) -> dict[str, float]:
    try:
        document = json.loads((root / _METRICS).read_text(encoding="utf-8"))
        return {k: float(v) for k, v in document.items() if isinstance(v, int | float) and math.isfinite(v)}
    except (OSError, ValueError, AttributeError):
        return {}


def _last(root: Path) -> LastSummary | None:
    try:
        return LastSummary.model_validate_json((root / SUMMARY_FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def _clock(at_s: float, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(at_s, zone):%a %H:%M}"


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"
