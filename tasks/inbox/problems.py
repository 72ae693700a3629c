"""Problems of an inbox: entries that are not shots, and folders that name no model. Each is reported once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from stylegan_core.storage.atomic import write_bytes_atomically


class Problem(BaseModel):
    """A problem of an entry.

    Attributes:
        reason: the end of a sentence that begins with the entry's name.
        since_s: time of the first look that saw it, in seconds since 1970.
        reported: whether it is in the log and has a marker.
    """

    model_config = ConfigDict(frozen=True)

    reason: str
    since_s: float
    reported: bool = False


class _File(RootModel[dict[str, Problem]]):
    """The file: problems by entries."""


def update_problems(
    known: Mapping[str, Problem], reasons: Mapping[str, str], time_s: float, settle_s: float
) -> dict[str, Problem]:
    """The problems after a look.

    A problem counts when it is ``settle_s`` old: a file that is being copied may have another name first, and a new
    folder may be about to be renamed.

    Args:
        known: before the look.
        reasons: what the look found, by entries.
        time_s: of the look.
        settle_s: see above.
    """
    found = {}
    for name, reason in reasons.items():
        before = known.get(name)
        if before is None or before.reason != reason or before.since_s > time_s:
            before = Problem(reason=reason, since_s=time_s)
        reported = before.reported or time_s - before.since_s >= settle_s
        found[name] = before.model_copy(update={"reported": reported})
    return found


def read_problems(path: Path) -> dict[str, Problem]:
    """The problems in a file; none if it is missing or damaged."""
    try:
        return _File.model_validate_json(path.read_bytes()).root
    except (FileNotFoundError, ValidationError):
        return {}


def write_problems(path: Path, problems: Mapping[str, Problem]) -> None:
    """Writes the problems, all of them or nothing."""
    write_bytes_atomically(path, _File(dict(problems)).model_dump_json(indent=1).encode())
