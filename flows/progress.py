"""The bars that a stage and a job show on a terminal."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stylegan_core.inference.job.report import Progress

log = logging.getLogger(__name__)

_LINE_EVERY_S = 30.0


@contextmanager
def progress_bar(doing: str) -> Iterator[Callable[[int, int], None]]:
    """A bar of items done and in all, from any thread; nothing where there is no terminal.

    Args:
        doing: in a word, e.g. "decoding".
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(doing, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def frames_bar() -> Iterator[Callable[[Progress], None]]:
    """Frames done and in all, frames/s and time left: a bar on a terminal, elsewhere a line in the log now and then."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("stylize"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[told]}"))
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("stylize", total=None, told="")

        def show(now: Progress) -> None:
            bar.update(task, total=now.total, completed=now.done, told=tell_speed(now))

        yield show


def tell_speed(now: Progress) -> str:
    """In words: 3.21 frames/s, 0:04:10 left, 2 failed."""
    parts = []
    if now.frames_per_s > 0:
        parts.append(f"{now.frames_per_s:.3g} frames/s")
        if left := now.total - now.done:
            parts.append(f"{_duration(left / now.frames_per_s)} left")
    if now.failed:
        parts.append(f"{now.failed} failed")
    return ", ".join(parts)


def _lines() -> Callable[[Progress], None]:
    told_s = time.monotonic()

    def tell(now: Progress) -> None:
        nonlocal told_s
        if time.monotonic() - told_s >= _LINE_EVERY_S and now.done < now.total:
            told_s = time.monotonic()
            log.info("%d of %d frames, %s", now.done, now.total, tell_speed(now))

    return tell


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
