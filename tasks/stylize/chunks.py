"""Runs the chunks of a job: in this process, alone or with other processes on the same job, or on a cluster."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from stylegan_core.inference.job.report import ChunkReport, Progress
from stylegan_core.inference.job.spec import Job
from stylegan_core.inference.output.lock import OutputBusyError
from stylegan_core.inference.output.skip_check import frames_to_make
from stylegan_core.inference.pipeline.frame_outcomes import StylizeStopped
from stylegan_core.inference.pipeline.signals import stop_on_signals
from stylegan_core.inference.pipeline.stylizer import Stylizer
from stylegan_core.storage.records import RecordTail
from tasks.shared.errors import StoppedError, UsageError
from tasks.shared.origin import origin
from tasks.shared.runner import Runner
from tasks.stylize.chunk import shared_chunk, work_chunk
from tasks.stylize.report import ProgressCallback

log = logging.getLogger(__name__)

_POLL_S = 0.5


def parse_chunks(text: str, count: int) -> list[int]:
    """Parses "3", "0-9" or "0-3,8" to sorted, unique chunk numbers.

    Args:
        text: of the option --chunk.
        count: number of chunks of the job; they are numbered from 0.

    Raises:
        UsageError: the text is malformed, or the job has no such chunk.
    """
    chosen: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageError(f"--chunk {text}: expected numbers or ranges such as 3, 0-9 or 0-3,8")
        chosen |= set(range(int(first), int(last if dash else first) + 1))
    if not chosen or max(chosen) >= count:
        raise UsageError(f"--chunk {text}: the job has the chunks 0 to {count - 1}")
    return sorted(chosen)


def run_together(
    stylizer: Stylizer, runner: Runner, chunks: Sequence[int], *, wait_s: float | None
) -> list[ChunkReport]:
    """Makes the chunks that no other process holds, then checks that the held ones are done.

    Args:
        stylizer: of the job.
        runner: calls them.
        chunks: which.
        wait_s: how long to wait for another process; None: without limit.

    Raises:
        StoppedError: chunks are still held.
        StylizeStopped: see ``Stylizer.chunk``.
    """

    def attempt(index: int, patience_s: float | None = 0.0) -> ChunkReport | None:
        try:
            return shared_chunk(stylizer, index, wait_s=patience_s)
        except OutputBusyError:
            if stylizer.stop_reason is not None:
                raise StylizeStopped(stylizer.stop_reason) from None
            return None

    reports = dict(zip(chunks, runner.map("stylize", attempt, chunks), strict=True))
    held = [index for index, report in reports.items() if report is None]
    if held and wait_s != 0:
        log.info("%s at work in other processes: waiting for them", _describe(held))
        reports |= zip(held, runner.map("stylize", partial(attempt, patience_s=wait_s), held), strict=True)
        held = [index for index, report in reports.items() if report is None]
    if held:
        raise StoppedError(f"{_describe(held)} still at work in other processes; run again to see that they are done")
    return [report for report in reports.values() if report is not None]


def run_on_cluster(
    job: Job, runner: Runner, chunks: Sequence[int], *, checksum: bool, progress: ProgressCallback | None
) -> list[ChunkReport]:
    """Makes the chunks on the workers of a distributed runner.

    Args:
        job: its file is on a file system that all workers share.
        runner: calls them.
        chunks: which.
        checksum: hash finished frames again.
        progress: called as records come in.

    Raises:
        StoppedError: an interrupt.
        StylizeStopped: see ``Stylizer.chunk``.
    """
    call = partial(work_chunk, job_file=str(job.file), checksum=checksum, context=origin())
    try:
        with _interrupted_by_signals(), _progress_from_records(job, progress):
            return runner.map("stylize", call, chunks)
    except KeyboardInterrupt as interrupt:
        raise StylizeStopped(str(interrupt) or "SIGINT") from None


def run_here(
    stylizer: Stylizer, runner: Runner, chunks: Sequence[int], *, shared: bool, wait_s: float | None
) -> list[ChunkReport]:
    """Makes the chunks in threads of this process; signals stop them between frames."""
    with stylizer, stop_on_signals(stylizer):
        if shared:
            return run_together(stylizer, runner, chunks, wait_s=wait_s)
        return runner.map("stylize", stylizer.chunk, chunks)


def _describe(chunks: Sequence[int]) -> str:
    some = ", ".join(str(index) for index in chunks[:8]) + (", ..." if len(chunks) > 8 else "")
    return f"chunk {some} is" if len(chunks) == 1 else f"chunks {some} are"


@contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """SIGTERM and SIGINT raise KeyboardInterrupt, to interrupt the wait for other machines."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def caught(number: int, _frame: object) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    before = {number: signal.signal(number, caught) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _progress_from_records(job: Job, progress: ProgressCallback | None) -> Iterator[None]:
    """Reports progress from the records of the workers; failures are reported at the end of their chunk."""
    if progress is None:
        yield
        return
    report, total, ended = progress, len(job.frames), threading.Event()
    tail, began_s = RecordTail(job.output_folder), time.monotonic()
    tail.new()
    remaining = set(frames_to_make(job))
    skipped = total - len(remaining)

    def watch() -> None:
        made: set[str] = set()
        last = False
        while not last:
            last = ended.wait(_POLL_S)
            before = len(made)
            made |= remaining & {record.frame for record in tail.new() if record.job == job.digest[:16]}
            if len(made) > before:
                rate = len(made) / max(time.monotonic() - began_s, 1e-6)
                report(Progress(total, skipped + len(made), skipped, 0, rate))

    watcher = threading.Thread(target=watch, name="progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
