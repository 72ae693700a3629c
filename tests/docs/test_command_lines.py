"""Commands and options that the documentation names exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from flows.cli.main import app

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "README.md", REPOSITORY / "SECURITY.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
_LINE = re.compile(r"^    (stylereel .*?)(?:\s+#.*)?$|`(stylereel\s[^`]+)`", re.MULTILINE)
_OPTION = re.compile(r"--[a-z][a-z0-9-]*")


def command_lines(page: Path) -> Iterator[str]:
    for block, span in _LINE.findall(page.read_text(encoding="utf-8")):
        yield " ".join((block or span).split())


def unknown_words(line: str) -> list[str]:
    """A command and options that ``stylereel`` does not have."""
    command: Any = typer.main.get_command(app)
    words = line.split()[1:]
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    if hasattr(command, "commands") and words and not words[0].startswith("-"):
        return [words[0]]
    known = {"--help", *(option for one in command.params for option in (*one.opts, *one.secondary_opts))}
    return [found.group() for word in words if (found := _OPTION.match(word)) and found.group() not in known]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_exist(page: Path) -> None:
    unknown = {line: words for line in command_lines(page) if (words := unknown_words(line))}
    assert unknown == {}


def test_what_does_not_exist_is_found() -> None:
    assert unknown_words("stylereel notify forget 1") == ["forget"]
    assert unknown_words("stylereel gc --older-than-weeks 3") == ["--older-than-weeks"]
    assert unknown_words("stylereel gc --older-than-days 7") == []
