"""What a task of Prefect repeats: failures of the network, not wrong calls, stops and time limits."""

from __future__ import annotations

import pytest
from prefect.states import Failed

from flows.runners.prefect_runner import PrefectRunner
from tasks.shared.child_processes.time_limit import TimeLimit
from tasks.shared.errors import OutputHeldError, StoppedError, UsageError
from tasks.shared.versioning import VersioningError


@pytest.mark.parametrize(
    ("error", "repeated"),
    [
        (VersioningError("cannot push: the remote does not answer"), True),
        (ConnectionError("refused"), True),
        (UsageError("the parameter folder is empty"), False),
        (OutputHeldError("another run works on it"), False),
        (StoppedError("SIGTERM"), False),
        (TimeLimit.start("push", "limits.transfer_hours", 12.0).error(), False),
    ],
)
def test_what_is_tried_again(error: Exception, repeated: bool) -> None:
    task = PrefectRunner(retries={"push": 2})._task("push", lambda: None)
    assert task.retries == 2
    assert task.retry_condition_fn(task, None, Failed(data=error)) is repeated


def test_a_task_that_is_not_named_is_not_tried_again() -> None:
    assert PrefectRunner(retries={"push": 2})._task("train", lambda: None).retries == 0
