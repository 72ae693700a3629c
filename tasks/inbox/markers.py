"""Markers next to the results: SHOT.done.txt and SHOT.failed.txt, for people and for programs that wait for a shot."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from stylegan_core.storage.atomic import write_bytes_atomically

_RETRY = "It is tried again when its files change, or when this file is deleted."


def done_marker(output: Path, name: str) -> Path:
    """The marker of a finished shot."""
    return output / f"{name}.done.txt"


def failed_marker(output: Path, name: str) -> Path:
    """The marker of a failed shot, or of an entry of the inbox that is not one."""
    return output / f"{name}.failed.txt"


def mark_done(output: Path, name: str, facts: Mapping[str, object], time_s: float) -> None:
    """Marks a shot as finished.

    Args:
        output: the output folder.
        name: MODEL/SHOT.
        facts: lines of the marker: values by their names.
        time_s: of the end, in seconds since 1970.
    """
    lines = [f"{name} is done.", ""]
    lines += [f"{key + ':':10} {value}" for key, value in {**facts, "finished": _utc(time_s)}.items()]
    _write(done_marker(output, name), lines)
    failed_marker(output, name).unlink(missing_ok=True)


def mark_failed(output: Path, name: str, reason: str, time_s: float) -> None:
    """Marks a shot as failed; the arguments are those of ``mark_done``, with the reason."""
    _write(failed_marker(output, name), [f"{name} failed, {_utc(time_s)}.", "", reason, "", _RETRY])
    done_marker(output, name).unlink(missing_ok=True)


def mark_problem(output: Path, name: str, reason: str) -> None:
    """Marks an entry of the inbox that is not a shot, or a folder that names no model."""
    _write(failed_marker(output, name), [f"{name} {reason}.", "", "This file is removed when the problem is solved."])


def unmark(output: Path, name: str) -> None:
    """Removes the markers of a shot or an entry."""
    for marker in (done_marker(output, name), failed_marker(output, name)):
        marker.unlink(missing_ok=True)


def _write(path: Path, lines: list[str]) -> None:
    write_bytes_atomically(path, ("\n".join(lines) + "\n").encode())


def _utc(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
