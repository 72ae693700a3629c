"""Time-outs of runs: a run that does not end by itself when its time limit has passed is ended from outside.

Within a limit, calls of dvc and git and waits for locks end by themselves (``tasks.shared.child_processes``). Code of
this process cannot be stopped that way: an evaluation that hangs, a file of a network share that does not answer.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from tasks.shared.child_processes.time_limit import TimeLimit, time_limit
from tasks.shared.errors import TimeLimitError

log = logging.getLogger(__name__)

GRACE_S = 600.0
"""For the end of a stage, which saves its state, and for steps that only check the limit before they begin."""
_REPORT_S = 60.0
_EXIT_CODE = 3


@contextmanager
def time_out(
    limit: TimeLimit | None, *, interrupt: bool, killed: Callable[[TimeLimitError], None], grace_s: float = GRACE_S
) -> Iterator[None]:
    """Ends the run inside when its limit has passed, and the process if that does not help.

    Args:
        limit: of the run; None: no limit.
        interrupt: send SIGTERM to this process at the limit, on which stylize ends after the frames at work.
        killed: called before the process is killed, from another thread; reports the run.
        grace_s: from the limit to the kill.

    Raises:
        TimeLimitError: the limit has passed, and the run has ended by itself.
    """
    if limit is None:
        yield
        return
    ended, passed = threading.Event(), threading.Event()

    def watch() -> None:
        if ended.wait(limit.remaining_s()):
            return
        passed.set()
        log.error("%s", limit.error())
        if interrupt:
            os.kill(os.getpid(), signal.SIGTERM)
        if not ended.wait(grace_s):
            _end_process(limit.error(), killed)

    threading.Thread(target=watch, name="time-out", daemon=True).start()
    try:
        with time_limit(limit):
            yield
    except TimeLimitError:
        raise
    except BaseException as error:
        if interrupt and passed.is_set():
            raise limit.error() from error
        raise
    finally:
        ended.set()


def _end_process(error: TimeLimitError, killed: Callable[[TimeLimitError], None]) -> None:
    log.error("it did not stop within its grace: the process is ended")
    reporting = threading.Thread(target=killed, args=(error,), daemon=True)  # the server may be what hangs
    reporting.start()
    reporting.join(_REPORT_S)
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
    os._exit(_EXIT_CODE)
