"""The new paths in the table of ADR 11 exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
ADR = REPOSITORY / "docs" / "adr" / "0011-packages-follow-the-path-of-a-frame.md"
LINES = re.findall(r"(?m)^\| (\S+\.py) \| (.+) \|$", ADR.read_text(encoding="utf-8"))


def expanded(cell: str) -> Iterator[str]:
    """The paths of a cell, such as ``a/{b,c}.py, d.py``."""
    for before, names, after in re.findall(r"([^\s,{]+)(?:\{(\S+?)\})?([^\s,]*)", cell):
        yield from (f"{before}{name}{after}" for name in names.split(","))


def test_a_cell_is_expanded() -> None:
    assert list(expanded("a/{b,c}.py, d/e.py")) == ["a/b.py", "a/c.py", "d/e.py"]


@pytest.mark.parametrize(("old", "cell"), LINES, ids=[old for old, _ in LINES])
def test_the_new_paths_exist(old: str, cell: str) -> None:
    for name in expanded(cell):
        assert name.endswith(".py")
        folder = REPOSITORY if name.split("/")[0] in ("flows", "tasks") else REPOSITORY / "stylegan_core"
        assert (folder / name).is_file(), f"{old} did not become {name}"


def test_the_table_is_read() -> None:
    assert len(LINES) > 150
