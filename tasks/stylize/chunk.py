"""One chunk of a job, in any process that can read the job file: the function that Dask's workers call.

A process keeps the model and the pools of a job open between chunks. Locks in the output folder assign chunks to
workers; frames that another worker finished, before it was killed for example, are skipped by their records.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from stylegan_core.inference.job.report import ChunkReport
from stylegan_core.inference.output.lock import OutputBusyError, hold_chunk, hold_output
from stylegan_core.inference.pipeline.stylizer import Stylizer
from tasks.shared.errors import UsageError
from tasks.stylize.open_job import open_job


@dataclass
class _Open:
    """A job that this process keeps open, and the number of threads that work on it."""

    stylizer: Stylizer
    closing: ExitStack
    users: int = 0


_Key = tuple[str, bool]
_open: dict[_Key, _Open] = {}
_lock = threading.Lock()


def work_chunk(
    index: int, *, job_file: str, checksum: bool = False, context: Mapping[str, str] | None = None
) -> ChunkReport:
    """Makes the unfinished frames of one chunk; waits while another worker holds it.

    Args:
        index: of the job's chunks, from 0.
        job_file: on a file system that all workers share.
        checksum: hash finished frames again instead of trusting sizes and times.
        context: ids for the records.

    Raises:
        StylizeStopped: a full disk, a vanished mount, or ``stop_chunks``.
        UsageError: the file is not a job, its model is missing, or another job holds its output folder.
    """

    def open_stylizer() -> Stylizer:
        job, model = open_job(Path(job_file))
        device = device_of_worker(job.device, _worker_name(), _cuda_devices())
        return Stylizer(job, model, checksum=checksum, context=dict(context or {}), device=device)

    with _open_stylizer((job_file, checksum), open_stylizer) as stylizer:
        try:
            with hold_output(stylizer.job.state_folder, job=stylizer.job.digest):
                return shared_chunk(stylizer, index)
        except OutputBusyError as error:
            raise UsageError(f"{error}: wait for it, or choose another folder") from None


def shared_chunk(stylizer: Stylizer, index: int, *, wait_s: float | None = None) -> ChunkReport:
    """Makes one chunk of a job with several workers; the output folder is held.

    Args:
        stylizer: of the job.
        index: of the job's chunks, from 0.
        wait_s: how long to wait for another worker; None: without limit.

    Raises:
        OutputBusyError: another worker still holds it.
        StylizeStopped: see ``Stylizer.chunk``.
    """

    def stopped() -> bool:
        return stylizer.stop_reason is not None

    job = stylizer.job
    with hold_chunk(job.state_folder, job.digest, index, wait_s=wait_s, stopped=stopped):
        stylizer.read_new_records()
        return stylizer.chunk(index)


def stop_chunks(reason: str) -> None:
    """Stops the running chunks of this process after the frames that are being written."""
    with _lock:
        for entry in _open.values():
            entry.stylizer.stop(reason)


def close_jobs() -> None:
    """Closes the jobs that no chunk uses, and frees their models."""
    with _lock:
        idle = [key for key, entry in _open.items() if not entry.users]
        closing = [_open.pop(key).closing for key in idle]
    for stack in closing:
        stack.close()


def device_of_worker(device: str, worker: str | int | None, devices: int) -> str:
    """The device of a worker: workers are distributed over the GPUs.

    Args:
        device: of the job.
        worker: its name; those of a local cluster are 0, 1, ...
        devices: number of visible CUDA devices; with one (``CUDA_VISIBLE_DEVICES``) there is no choice.
    """
    if device != "cuda" or devices < 2 or not str(worker).isdigit():
        return device
    return f"cuda:{int(str(worker)) % devices}"


@contextmanager
def _open_stylizer(key: _Key, open_stylizer: Callable[[], Stylizer]) -> Iterator[Stylizer]:
    with _lock:
        entry = _open.get(key)
        if entry is None or entry.stylizer.stop_reason is not None:
            for other in [k for k, e in _open.items() if not e.users]:  # a process holds one model at a time
                _open.pop(other).closing.close()
            closing = ExitStack()
            entry = _open[key] = _Open(closing.enter_context(open_stylizer()), closing)
        entry.users += 1
    try:
        yield entry.stylizer
    finally:
        with _lock:
            entry.users -= 1
            ended = not entry.users and entry.stylizer.stop_reason is not None
            if ended and _open.get(key) is entry:
                del _open[key]
        if ended:
            entry.closing.close()


def _worker_name() -> str | int | None:
    from distributed import get_worker

    try:
        name: str | int | None = get_worker().name
    except ValueError:  # not a worker of Dask
        return None
    return name


def _cuda_devices() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
