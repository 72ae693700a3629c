"""Reports how a run ends: a note for the summary, and a message if it fails or works again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from tasks.notify.problems import problem_of
from tasks.notify.runs import Outcome, RunNote, begin_run, write_note
from tasks.notify.sent import report, resolve
from tasks.shared.origin import flow_run_id

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")


@dataclass
class Ending:
    """What a run that ends without an error says of itself.

    Attributes:
        works: whether an earlier failure is over; False: the run found that nothing has changed since.
        refused: why the gate still refuses the models; empty if it does not.
        fail: reports an error of a run whose process is about to be killed.
    """

    fail: Callable[[Exception], None]

    works: bool = True
    refused: str = ""

    def refuse(self, reason: str) -> None:
        """The gate still refuses the models, for this reason."""
        self.works, self.refused = False, reason


@contextmanager
def reported(root: Path, work: str) -> Iterator[Ending]:
    """Reports the end of the run inside: success, failure or the gate's refusal; never fails or delays it by more.

    A stop on purpose (Cancel, SIGTERM, an interrupt) is noted, and not reported.

    Args:
        root: the checkout.
        work: name of the flow.

    Yields:
        What the run may say of its end.
    """
    run_id = flow_run_id()
    url = _best_effort(lambda: run_url(run_id), "") if run_id else ""
    note = _best_effort(lambda: begin_run(root, run_id or uuid4().hex, work, url=url, now_s=time.time()), None)
    ending = Ending(fail=lambda error: _best_effort(lambda: _failed(root, note, error, work, url), None))
    try:
        yield ending
    except Exception as error:
        ending.fail(error)
        raise
    except BaseException:
        _best_effort(lambda: _ended(root, note, "stopped"), None)
        raise
    outcome: Outcome = "refused" if ending.refused else "completed"
    _best_effort(lambda: _ended(root, note, outcome, reason=ending.refused), None)
    if ending.works:
        _best_effort(lambda: resolve(root, work), False)


def run_url(run_id: str) -> str:
    """Page of a flow run on the Prefect server."""
    from prefect.utilities.urls import url_for

    return url_for("flow-run", obj_id=run_id) or ""


def _failed(root: Path, note: RunNote | None, error: Exception, work: str, url: str) -> None:
    problem = problem_of(error, work, root, url)
    outcome: Outcome = "refused" if problem.kind == "refused" else "failed"
    _best_effort(lambda: _ended(root, note, outcome, problem.stage, problem.reason), None)
    report(root, problem, time.time())


def _ended(root: Path, note: RunNote | None, outcome: Outcome, stage: str = "", reason: str = "") -> None:
    if note is not None:
        facts = {"ended_s": time.time(), "outcome": outcome, "stage": stage, "reason": reason}
        write_note(root, note.model_copy(update=facts))


def _best_effort(action: Callable[[], _Result], otherwise: _Result) -> _Result:
    try:
        return action()
    except Exception as error:  # the run is worth more than its report
        log.warning("cannot report this run (%s): %s", type(error).__name__, error)
        return otherwise
