"""Progress bars of stages and jobs on a terminal, log lines elsewhere."""

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
    """A bar with the numbers of finished and of all items, for any thread; without a terminal, nothing.

    Args:
        doing: the work in one word, such as "decoding".
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
    """Progress, frames/s and remaining time of a job: a bar on a terminal, elsewhere a log line every 30 s."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("stylize"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("stylize", total=None, rate="")

        def update(now: Progress) -> None:
            bar.update(task, total=now.total, completed=now.done, rate=describe_rate(now))

        yield update


def describe_rate(now: Progress) -> str:
    """Rate, remaining time and failures, such as "3.21 frames/s, 0:04:10 left, 2 failed"."""
    parts = []
    if now.frames_per_s > 0:
        parts.append(f"{now.frames_per_s:.3g} frames/s")
        if remaining := now.total - now.done:
            parts.append(f"{_duration(remaining / now.frames_per_s)} left")
    if now.failed:
        parts.append(f"{now.failed} failed")
    return ", ".join(parts)


def _lines() -> Callable[[Progress], None]:
    logged_s = time.monotonic()

    def log_progress(now: Progress) -> None:
        nonlocal logged_s
        if time.monotonic() - logged_s >= _LINE_EVERY_S and now.done < now.total:
            logged_s = time.monotonic()
            log.info("%d of %d frames, %s", now.done, now.total, describe_rate(now))

    return log_progress


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
