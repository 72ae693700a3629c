"""Which errors stop a job; one module decides it."""

from __future__ import annotations

import ast
import errno
from pathlib import Path

import pytest

from stylegan_core.storage.stop_errors import STOP_ERRNOS, reading_stops, stops, writing_stops

ROOT = Path(__file__).parents[3]
DECIDES = "stylegan_core/storage/stop_errors.py"


@pytest.mark.parametrize(
    ("name", "reading", "writing", "command"),
    [
        ("ENOSPC", True, True, True),
        ("EDQUOT", True, True, True),
        ("ESTALE", True, True, True),
        ("ENOTCONN", True, True, True),
        ("EMFILE", True, True, True),
        ("EIO", False, True, True),  # one bad sector of an input
        ("EACCES", False, True, False),  # a wrong call as long as nothing is done
        ("EROFS", False, True, False),
        ("ENOENT", False, False, False),
        ("EISDIR", False, False, False),
    ],
)
def test_who_stops_at_what(name: str, reading: bool, writing: bool, command: bool) -> None:
    error = OSError(getattr(errno, name), "text")
    assert (reading_stops(error), writing_stops(error), stops(error)) == (reading, writing, command)


def test_errors_that_are_not_the_systems_stop_nothing() -> None:
    for error in (OSError("no number"), ValueError("text"), KeyboardInterrupt()):
        assert not any(predicate(error) for predicate in (reading_stops, writing_stops, stops))


def _sets_of_errnos(source: str) -> list[int]:
    """Line numbers of literal collections, and of comparisons, that name an error which stops a job."""
    names = {name for name, number in vars(errno).items() if isinstance(number, int) and number in STOP_ERRNOS}
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Tuple | ast.List | ast.Set):
            continue
        for entry in node.elts:
            named = entry.attr if isinstance(entry, ast.Attribute) else getattr(entry, "value", None)
            if named in names:
                found.append(node.lineno)
    return found


def test_no_other_module_has_a_set_of_them() -> None:
    assert _sets_of_errnos("STOPS = (errno.ENOSPC, errno.EACCES)") == [1]
    assert _sets_of_errnos('X = {getattr(errno, name) for name in ["EIO"]}') == [1]
    for package in ("stylegan_core", "tasks", "flows"):
        for path in (ROOT / package).rglob("*.py"):
            if path.relative_to(ROOT).as_posix() != DECIDES:
                assert not _sets_of_errnos(path.read_text(encoding="utf-8")), path
